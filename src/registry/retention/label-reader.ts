import { buffer } from 'node:stream/consumers'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import { algorithmOf, type Digest, digestOf } from '../../storage/digest.ts'
import { type Manifest, parseManifest } from '../../storage/manifest.ts'
import { mediaTypes } from '../../storage/media-types.ts'
import type { ManifestRecords } from '../../storage/metadata/manifest-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { expiryLabelIn, expiryLabelOf } from './expiry-label.ts'

export interface LabelSources {
  readonly records: Pick<ManifestRecords, 'getManifest'>
  readonly blobs: Pick<BlobStore, 'repository'>
}

/** Bytes of a config that is read; those of images have some thousands. */
const maxConfigBytes = 1024 * 1024
/** Images of an index that are looked at. Where there are more, the index says it by an annotation, or stays. */
const maxImages = 32

/** Of configs that can have labels. */
const configTypes: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig])

/**
 * After which time a tag of this manifest goes, by an annotation of the manifest, or else the labels of its image; of an
 * index without one, when each of its images that is here says so, the longest time. Undefined: it does not say.
 *
 * Whatever cannot be read because of what it is says nothing. @throws DomainError `unavailable`: to be read again.
 */
export async function readExpiryLabel(
  sources: LabelSources,
  repository: RepositoryName,
  digest: Digest,
  options: Abortable,
): Promise<number | undefined> {
  const manifest = await readManifest(sources, repository, digest, options)
  if (manifest === undefined) return undefined
  const own = await ownLabel(sources, repository, manifest, options)
  if (own !== undefined || manifest.kind === 'image') return own
  const images = manifest.manifests.filter(isImage)
  if (images.length > maxImages) return undefined
  let longest: number | undefined
  for (const { digest: child } of images) {
    const image = await readManifest(sources, repository, child, options)
    if (image === undefined) continue
    const ms = await ownLabel(sources, repository, image, options)
    if (ms === undefined) return undefined
    longest = Math.max(longest ?? 0, ms)
  }
  return longest
}

/** BuildKit puts attestations into an index as images for no platform. */
function isImage({ platform }: Descriptor): boolean {
  return platform?.os !== 'unknown'
}

async function readManifest(
  { records }: LabelSources,
  repository: RepositoryName,
  digest: Digest,
  options: Abortable,
): Promise<Manifest | undefined> {
  const stored = await orNothing(records.getManifest(repository, { kind: 'digest', digest }, options))
  try {
    return stored && parseManifest(stored.bytes, stored.mediaType)
  } catch (error) {
    // An older version took it.
    if (isDomainError(error)) return undefined
    throw error
  }
}

async function ownLabel(
  { blobs }: LabelSources,
  repository: RepositoryName,
  manifest: Manifest,
  options: Abortable,
): Promise<number | undefined> {
  const annotated = expiryLabelOf(manifest.annotations)
  if (annotated !== undefined || manifest.kind === 'index') return annotated
  const { mediaType, digest, size } = manifest.config
  if (!configTypes.has(mediaType) || size > maxConfigBytes) return undefined
  const store = blobs.repository(repository)
  const info = await orNothing(store.stat(digest, options))
  // The manifest need not tell the truth about the size.
  if (info === undefined || info.size > maxConfigBytes) return undefined
  const bytes = await orNothing(store.open(digest, options).then(({ stream }) => buffer(stream)))
  if (bytes === undefined || digestOf(bytes, algorithmOf(digest)) !== digest) return undefined
  return expiryLabelIn(bytes)
}

async function orNothing<Value>(found: Promise<Value>): Promise<Value | undefined> {
  try {
    return await found
  } catch (error) {
    if (isDomainError(error, 'not_found', 'invalid')) return undefined
    throw error
  }
}
