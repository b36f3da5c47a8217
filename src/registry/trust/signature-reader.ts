import { buffer } from 'node:stream/consumers'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobStore } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import { algorithmOf, type Digest, digestOf, hexOf } from '../../storage/digest.ts'
import { parseManifest } from '../../storage/manifest.ts'
import type { ManifestRecords, ReferrerPosition } from '../../storage/metadata/manifest-records.ts'
import { parseTag, type RepositoryName } from '../../storage/reference.ts'
import { trustLimits } from './limits.ts'
import type { Signature, SignatureContent, SignatureForm, SignatureSource } from './signature.ts'

export type SignatureRecords = Pick<ManifestRecords, 'getManifest' | 'statManifest' | 'listReferrers'>

/** Artifact types of referrers that hold signatures. */
const forms: Readonly<Record<string, SignatureForm>> = {
  // cosign 2 with --registry-referrers-mode oci-1-1.
  'application/vnd.dev.cosign.artifact.sig.v1+json': 'cosign',
  'application/vnd.dev.sigstore.bundle.v0.3+json': 'sigstore-bundle',
  'application/vnd.cncf.notary.signature': 'notation',
}

/** Whether referrers of this type claim to be signatures. */
export function isSignatureType(artifactType: string | undefined): boolean {
  return artifactType !== undefined && Object.hasOwn(forms, artifactType)
}

/** What a page of referrers may take; their annotations are read for nothing. */
const pageBytes = 256 * 1024
const maxPages = 4

/** Finds what claims to be a signature. Whatever it finds may be anybody's. */
export class SignatureReader {
  readonly #records: SignatureRecords
  readonly #blobs: BlobStore

  constructor(records: SignatureRecords, blobs: BlobStore) {
    this.#records = records
    this.#blobs = blobs
  }

  /** The manifests that hold signatures of `image`: cosign's tag first, then referrers, newest first. */
  async list(
    repository: RepositoryName,
    image: Digest,
    options?: Abortable,
  ): Promise<readonly SignatureSource[]> {
    const tagged = await this.#tagged(repository, image, options)
    const sources: SignatureSource[] = tagged === undefined ? [] : [{ form: 'cosign', digest: tagged }]
    let after: ReferrerPosition | undefined
    for (let page = 0; page < maxPages && sources.length < trustLimits.signatures; page += 1) {
      const { referrers, next } = await this.#records.listReferrers(
        repository,
        image,
        { artifactTypes: Object.keys(forms), maxBytes: pageBytes, after },
        options,
      )
      for (const { digest, artifactType = '' } of referrers) {
        const form = forms[artifactType]
        if (form !== undefined) sources.push({ form, digest })
      }
      if (next === undefined) break
      after = next
    }
    return sources.slice(0, trustLimits.signatures)
  }

  /** At most {@link trustLimits}.signatures of them, the newest of each manifest first; one at a time is in memory. */
  async *read(
    repository: RepositoryName,
    sources: readonly SignatureSource[],
    options?: Abortable,
  ): AsyncGenerator<Signature, void, undefined> {
    let room = trustLimits.signatures
    for (const source of sources)
      for await (const content of this.#contents(repository, source, room, options)) {
        yield { source, content }
        room -= 1
        if (room === 0) return
      }
  }

  /** cosign/specs/SIGNATURE_SPEC.md, "Tag-based Discovery". */
  async #tagged(repository: RepositoryName, image: Digest, options?: Abortable): Promise<Digest | undefined> {
    // A longer digest makes no tag.
    if (algorithmOf(image) !== 'sha256') return undefined
    const tag = parseTag(`sha256-${hexOf(image)}.sig`)
    return await orAbsent(
      this.#records.statManifest(repository, { kind: 'tag', tag }, options).then(({ digest }) => digest),
    )
  }

  async *#contents(
    repository: RepositoryName,
    { form, digest }: SignatureSource,
    limit: number,
    options?: Abortable,
  ): AsyncGenerator<SignatureContent, void, undefined> {
    const stored = await orAbsent(this.#records.getManifest(repository, { kind: 'digest', digest }, options))
    if (stored === undefined) return
    if (stored.size > trustLimits.signatureBytes) {
      yield unreadable('is in a manifest that is too large')
      return
    }
    const manifest = parseManifest(stored.bytes, stored.mediaType)
    if (manifest.kind !== 'image') {
      yield unreadable('is in an index, where no signatures are')
      return
    }
    // cosign adds at the end; the others have one.
    const layers = form === 'cosign' ? manifest.layers.slice(-limit).reverse() : manifest.layers.slice(0, 1)
    for (const layer of layers) yield await this.#content(repository, form, layer, options)
  }

  async #content(
    repository: RepositoryName,
    form: SignatureForm,
    { mediaType, digest, annotations = {} }: Descriptor,
    options?: Abortable,
  ): Promise<SignatureContent> {
    if (form === 'notation' && mediaType !== 'application/jose+json')
      return unreadable(
        mediaType === 'application/cose'
          ? 'is a COSE envelope, of which only the other kind can be verified; sign with --signature-format jws'
          : 'is in an envelope of an unknown type',
      )
    const bytes = await this.bytesOf(repository, digest, options)
    if (typeof bytes === 'string') return unreadable(bytes)
    if (form === 'cosign') return { kind: 'simple-signing', payload: bytes, annotations }
    return { kind: form === 'notation' ? 'jws' : 'bundle', bytes }
  }

  /** Why not, where they cannot be had. */
  async bytesOf(
    repository: RepositoryName,
    digest: Digest,
    options?: Abortable,
  ): Promise<Uint8Array | string> {
    const blobs = this.#blobs.repository(repository)
    const info = await orAbsent(blobs.stat(digest, options))
    if (info === undefined) return 'has lost its blob'
    if (info.size > trustLimits.signatureBytes) return 'is too large'
    const bytes = await orAbsent(blobs.open(digest, options).then(({ stream }) => buffer(stream)))
    if (bytes === undefined) return 'has lost its blob'
    // The store need not check what it reads.
    return digestOf(bytes, algorithmOf(digest)) === digest ? bytes : 'has a damaged blob'
  }
}

function unreadable(reason: string): SignatureContent {
  return { kind: 'unreadable', reason }
}

async function orAbsent<Value>(found: Promise<Value>): Promise<Value | undefined> {
  try {
    return await found
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}
