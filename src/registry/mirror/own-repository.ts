import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions, RepositoryBlobs } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import type {
  OpenBlobFrom,
  PutBlobOptions,
  WritableRepository,
} from '../../storage/images/image-repository.ts'
import type { ManifestInfo, ReferrerPosition, StoredManifest } from '../../storage/metadata/metadata.ts'
import type { Reference, RepositoryName, Tag } from '../../storage/reference.ts'
import { storeManifest } from '../store-manifest.ts'
import { transferBlob } from './blob-transfer.ts'
import type { OwnStores } from './own-stores.ts'
import { assertSize, has } from './transfer-session.ts'

/** Of one page of a list. */
const tagsAtOnce = 1000
const referrerBytesAtOnce = 1024 * 1024

/** One of our own repositories. What is read of it is no pull, what is written to it is a push of whoever it is said to be. */
export class OwnRepository implements WritableRepository {
  readonly #name: RepositoryName
  readonly #stores: OwnStores
  readonly #blobs: RepositoryBlobs

  constructor(name: RepositoryName, stores: OwnStores) {
    this.#name = name
    this.#stores = stores
    this.#blobs = stores.blobs.repository(name)
  }

  get label(): string {
    return this.#name
  }

  stat(reference: Reference, options?: Abortable): Promise<ManifestInfo> {
    return this.#stores.metadata.statManifest(this.#name, reference, options)
  }

  get(reference: Reference, options?: Abortable): Promise<StoredManifest> {
    return this.#stores.metadata.getManifest(this.#name, reference, options)
  }

  statBlob(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    return this.#blobs.stat(digest, options)
  }

  openBlob(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody> {
    return this.#blobs.open(digest, options)
  }

  async *tags({ signal }: Abortable = {}): AsyncIterable<Tag> {
    let after: Tag | undefined
    do {
      const page = { limit: tagsAtOnce, after }
      const tags = await this.#stores.metadata.listTags(this.#name, page, { signal })
      yield* tags
      after = tags.length < tagsAtOnce ? undefined : tags.at(-1)
    } while (after !== undefined)
  }

  async *referrers(subject: Digest, { signal }: Abortable = {}): AsyncIterable<Descriptor> {
    let after: ReferrerPosition | undefined
    do {
      const page = { artifactTypes: [], maxBytes: referrerBytesAtOnce, after }
      const list = await this.#stores.metadata.listReferrers(this.#name, subject, page, { signal })
      yield* list.referrers
      after = list.next
    } while (after !== undefined)
  }

  /** @throws DomainError `size_mismatch` when it is there with another size. */
  hasBlob(blob: BlobInfo, options: Abortable = {}): Promise<boolean> {
    return has(this.#blobs, blob, options)
  }

  /** @throws DomainError `size_mismatch` when it is there with another size; `denied` when a quota says so. */
  async mountBlob(
    blob: BlobInfo,
    from: readonly RepositoryName[],
    { signal }: Abortable = {},
  ): Promise<boolean> {
    for (const name of from) if (await this.#isLinked(blob, name, { signal })) return true
    return this.#stores.mayUseAny && (await this.#isLinked(blob, undefined, { signal }))
  }

  putBlob(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions = {}): Promise<void> {
    const { mayUseAny, turns } = this.#stores
    // Where nothing may cross from one repository to another, nobody waits for others' either.
    const key = mayUseAny ? blob.digest : `${this.#name}@${blob.digest}`
    return turns.alone(
      key,
      async () => {
        if ((await this.hasBlob(blob, options)) || (mayUseAny && (await this.mountBlob(blob, [], options))))
          options.onStored?.(blob.size, { kept: blob.size })
        else await this.#transfer(blob, open, options)
      },
      options,
    )
  }

  async putManifest(
    { bytes, mediaType, digest }: StoredManifest,
    tags: readonly Tag[],
    { signal }: Abortable = {},
  ): Promise<void> {
    const { metadata, by, requireReferences } = this.#stores
    const sent = { bytes, mediaType, digest, tags }
    await storeManifest(metadata, this.#name, sent, { requireReferences, by, signal })
  }

  deleteTag(tag: Tag, { signal }: Abortable = {}): Promise<void> {
    const { metadata, by } = this.#stores
    return metadata.deleteTag(this.#name, tag, { by, signal })
  }

  #transfer(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions): Promise<void> {
    const { metadata, by, times } = this.#stores
    const target = { repository: this.#name, blobs: this.#blobs, records: metadata, by, times }
    return transferBlob(target, blob, open, options)
  }

  async #isLinked(
    { digest, size }: BlobInfo,
    from: RepositoryName | undefined,
    { signal }: Abortable,
  ): Promise<boolean> {
    try {
      // Before it is linked: what is wrong is not to be changed.
      if (from !== undefined)
        assertSize(await this.#stores.blobs.repository(from).stat(digest, { signal }), size)
      const { by } = this.#stores
      assertSize(await this.#blobs.link(digest, from, { by, signal }), size)
      return true
    } catch (error) {
      if (isDomainError(error, 'not_found')) return false
      throw error
    }
  }
}
