import { DomainError } from '../errors.ts'
import { algorithmOf, type Digest, digestOf } from '../storage/digest.ts'
import { artifactTypeOf, edgesOf, parseManifest, type RequiredReferences } from '../storage/manifest.ts'
import type {
  ManifestInfo,
  ManifestRecords,
  PutManifestOptions,
} from '../storage/metadata/manifest-records.ts'
import type { RepositoryName, Tag } from '../storage/reference.ts'

/** A manifest as it comes, from a client or from another registry. */
export interface SentManifest {
  readonly bytes: Uint8Array
  /** What it was said to be; undefined: what it says itself. */
  readonly mediaType: string | undefined
  /** What it was said to be the digest of; undefined: nothing was said. */
  readonly digest: Digest | undefined
  readonly tags: readonly Tag[]
}

export interface StoreManifestOptions extends PutManifestOptions {
  /** What must be in the repository before. */
  readonly requireReferences: RequiredReferences
}

export interface AcceptedManifest extends ManifestInfo {
  readonly subject: Digest | undefined
}

/**
 * Stores a manifest if it is one, and is what it was said to be.
 * @throws DomainError `invalid`, `digest_mismatch`, and as {@link ManifestRecords.putManifest} does.
 */
export async function storeManifest(
  records: Pick<ManifestRecords, 'putManifest'>,
  repository: RepositoryName,
  { bytes, mediaType, digest: expected, tags }: SentManifest,
  { requireReferences, ...options }: StoreManifestOptions,
): Promise<AcceptedManifest> {
  const manifest = parseManifest(bytes, mediaType)
  const digest = digestOf(bytes, expected === undefined ? 'sha256' : algorithmOf(expected))
  if (expected !== undefined && expected !== digest)
    throw new DomainError(
      'digest_mismatch',
      `The manifest was sent as ${expected}, but its bytes are ${digest}.`,
      { resource: 'manifest', name: expected },
    )
  const info = { digest, mediaType: manifest.mediaType, size: bytes.length }
  const edges = edgesOf(manifest, requireReferences)
  const { annotations } = manifest
  const artifactType = artifactTypeOf(manifest)
  await records.putManifest(repository, { ...info, bytes, edges, artifactType, annotations, tags }, options)
  return { ...info, subject: manifest.subject?.digest }
}
