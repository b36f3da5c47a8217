import type { Abortable } from '../../storage/abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import type { ManifestInfo, StoredManifest } from '../../storage/metadata/manifest-records.ts'
import type { Reference, RepositoryName, Tag } from '../../storage/reference.ts'
import type { MirrorSource } from './run-job.ts'

/** The same registry, but nothing that it may count as a pull is asked before `beforePull` has resolved. */
export class GatedSource implements MirrorSource {
  readonly label: string
  readonly #source: MirrorSource
  readonly #beforePull: () => Promise<void>

  constructor(source: MirrorSource, beforePull: () => Promise<void>) {
    this.label = source.label
    this.#source = source
    this.#beforePull = beforePull
  }

  repository(name: RepositoryName): ReadableRepository {
    return new GatedRepository(this.#source.repository(name), this.#beforePull)
  }

  repositories(options?: Abortable): AsyncIterable<RepositoryName> {
    return this.#source.repositories(options)
  }
}

class GatedRepository implements ReadableRepository {
  readonly label: string
  readonly #source: ReadableRepository
  readonly #beforePull: () => Promise<void>

  constructor(source: ReadableRepository, beforePull: () => Promise<void>) {
    this.label = source.label
    this.#source = source
    this.#beforePull = beforePull
  }

  async get(reference: Reference, options?: Abortable): Promise<StoredManifest> {
    await this.#beforePull()
    return await this.#source.get(reference, options)
  }

  stat(reference: Reference, options?: Abortable): Promise<ManifestInfo> {
    return this.#source.stat(reference, options)
  }

  statBlob(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    return this.#source.statBlob(digest, options)
  }

  openBlob(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody> {
    return this.#source.openBlob(digest, options)
  }

  tags(options?: Abortable): AsyncIterable<Tag> {
    return this.#source.tags(options)
  }

  referrers(subject: Digest, options?: Abortable): AsyncIterable<Descriptor> {
    return this.#source.referrers(subject, options)
  }
}
