import { isDomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { maxManifestBytes } from '../manifest.ts'
import type { NewManifest } from '../metadata/manifest-records.ts'
import type { RepositoryName } from '../reference.ts'
import { type AdoptedBlobs, isFound } from './adopt-blobs.ts'
import { type Adoption, isDamage } from './adoption.ts'
import { blobDataPath } from './legacy-layout.ts'
import { childrenFirst } from './manifest-order.ts'
import { forEachParallel } from './parallel.ts'
import { type AdoptableManifest, readManifest } from './read-manifest.ts'

/** Digests in a sentence. */
const maxListed = 3

/** The manifests of one repository: images first, then indexes, each after its children. */
export class ManifestAdoption {
  /** Those that are here now. */
  readonly adopted = new Set<Digest>()
  /** Blobs that they name. */
  readonly needed = new Set<Digest>()
  readonly #adoption: Adoption
  readonly #repository: RepositoryName
  readonly #blobs: AdoptedBlobs

  constructor(adoption: Adoption, repository: RepositoryName, blobs: AdoptedBlobs) {
    this.#adoption = adoption
    this.#repository = repository
    this.#blobs = blobs
  }

  async adopt(digests: Iterable<Digest>): Promise<void> {
    const { options } = this.#adoption
    // Not their bytes: there may be many, and they are small to read again.
    const indexes = new Map<Digest, readonly Digest[]>()
    const read = async (digest: Digest): Promise<void> => {
      const found = await this.#read(digest)
      if (found === undefined) return
      await this.#reportMissing(found)
      if (found.children.length === 0) await this.#put(found.manifest)
      else indexes.set(digest, found.children)
    }
    await forEachParallel(digests, options.parallel, read, options)
    for (const digest of childrenFirst(indexes)) {
      const index = await this.#read(digest)
      if (index !== undefined) await this.#put(index.manifest)
    }
  }

  async #read(digest: Digest): Promise<AdoptableManifest | undefined> {
    const { parts, options } = this.#adoption
    try {
      const limits = { limit: maxManifestBytes, signal: options.signal }
      return readManifest(digest, await parts.from.read(blobDataPath(digest), limits))
    } catch (error) {
      this.#leaveOut(digest, error)
      return undefined
    }
  }

  async #put(manifest: NewManifest): Promise<void> {
    const {
      parts: { metadata },
      options: { signal },
      tally,
    } = this.#adoption
    const { digest } = manifest
    try {
      const isPresent = await isFound(
        metadata.statManifest(this.#repository, { kind: 'digest', digest }, { signal }),
      )
      if (!isPresent) await metadata.putManifest(this.#repository, manifest, { signal })
      tally.manifests[isPresent ? 'present' : 'adopted'] += 1
      this.adopted.add(digest)
    } catch (error) {
      this.#leaveOut(digest, error)
    }
  }

  #leaveOut(digest: Digest, error: unknown): void {
    if (!isDamage(error)) throw error
    const kind = isDomainError(error, 'unsupported') ? 'schema1' : 'manifest'
    this.#adoption.problem(kind, this.#repository, `The manifest ${digest} is left out: ${error.message}`)
  }

  async #reportMissing({ manifest, needs }: AdoptableManifest): Promise<void> {
    const {
      parts: { metadata },
      options: { signal },
    } = this.#adoption
    const missing: Digest[] = []
    for (const digest of new Set(needs)) {
      this.needed.add(digest)
      if (this.#blobs.here.has(digest)) continue
      if (!(await isFound(metadata.findBlob(this.#repository, digest, { signal })))) missing.push(digest)
    }
    if (missing.length === 0) return
    const more = missing.length > maxListed ? ` and ${missing.length - maxListed} more` : ''
    this.#adoption.problem(
      'missing',
      this.#repository,
      `The manifest ${manifest.digest} is adopted, but cannot be pulled: ${missing.slice(0, maxListed).join(', ')}${more} cannot be had from the old registry.`,
    )
  }
}
