import type { Abortable } from '../../storage/abortable.ts'
import { tenantOf } from '../../storage/accounts/names.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions, RepositoryBlobs } from '../../storage/blobs/blob-store.ts'
import type { Descriptor } from '../../storage/descriptor.ts'
import type { Digest } from '../../storage/digest.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import type {
  MountBlobOptions,
  OpenBlobFrom,
  PutBlobOptions,
  WritableRepository,
} from '../../storage/images/image-repository.ts'
import type {
  ManifestInfo,
  ReferrerPosition,
  StoredManifest,
} from '../../storage/metadata/manifest-records.ts'
import {
  parseRepositoryName,
  type Reference,
  type RepositoryName,
  type Tag,
} from '../../storage/reference.ts'
import { holderNear } from '../blob-holder.ts'
import { storeManifest } from '../store-manifest.ts'
import { transferBlob } from './blob-transfer.ts'
import type { OwnStores } from './own-stores.ts'
import { has } from './transfer-session.ts'

/** Of one page of a list. */
const tagsAtOnce = 1000
const referrerBytesAtOnce = 1024 * 1024

interface LinkOptions extends MountBlobOptions {
  /** What is said of where the blob was. */
  readonly from: RepositoryName | undefined
}

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
    { isAtSource, signal }: MountBlobOptions = {},
  ): Promise<boolean> {
    for (const name of from)
      if (await this.#isLinked(blob, name, { from: name, isAtSource, signal })) return true
    if (isAtSource === undefined) return false
    const holder = await this.#holderOf(blob.digest, { signal })
    // Whose it was is not for whoever is told of the link.
    if (holder !== undefined)
      return await this.#isLinked(blob, holder, { from: undefined, isAtSource, signal })
    return false
  }

  putBlob(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions = {}): Promise<void> {
    const { turns } = this.#stores
    // Nobody waits for a transfer to where he could not take the blob from.
    return turns.alone(
      `${this.#sharers}@${blob.digest}`,
      async () => {
        if ((await this.hasBlob(blob, options)) || (await this.mountBlob(blob, [], options)))
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

  lacksBlobs(options?: Abortable): Promise<boolean> {
    return this.#stores.metadata.hasFaults(this.#name, options)
  }

  deleteTag(tag: Tag, { signal }: Abortable = {}): Promise<void> {
    const { metadata, by } = this.#stores
    return metadata.deleteTag(this.#name, tag, { by, signal })
  }

  /** A repository that it may be taken from, besides those that are named. */
  async #holderOf(digest: Digest, options: Abortable): Promise<RepositoryName | undefined> {
    const { mountsFrom, metadata } = this.#stores
    switch (mountsFrom) {
      case 'named':
        return undefined
      case 'tenant':
        return await holderNear(metadata, digest, parseRepositoryName(tenantOf(this.#name)), options)
      case 'anywhere':
        return (await metadata.repositoriesWithBlob(digest, 1, options))[0]
    }
  }

  /** Names those who may take blobs from one another without being named. */
  get #sharers(): string {
    const { mountsFrom } = this.#stores
    if (mountsFrom === 'anywhere') return ''
    return mountsFrom === 'tenant' ? tenantOf(this.#name) : this.#name
  }

  #transfer(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions): Promise<void> {
    const { metadata, by, times } = this.#stores
    const target = { repository: this.#name, blobs: this.#blobs, records: metadata, by, times }
    return transferBlob(target, blob, open, options)
  }

  async #isLinked(
    blob: BlobInfo,
    holder: RepositoryName,
    { from, isAtSource, signal }: LinkOptions,
  ): Promise<boolean> {
    const { blobs, by } = this.#stores
    // Before it is linked: what is wrong is not to be changed.
    if (!(await has(blobs.repository(holder), blob, { signal }))) return false
    if (isAtSource !== undefined && !(await isAtSource())) return false
    return (await ifThere(this.#blobs.link(blob.digest, from, { by, signal }))) !== undefined
  }
}
