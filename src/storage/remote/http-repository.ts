import type { Abortable } from '../abortable.ts'
import type { BlobBody, BlobInfo, OpenBlobOptions } from '../blobs/blob-store.ts'
import type { Descriptor } from '../descriptor.ts'
import type { Digest } from '../digest.ts'
import type { OpenBlobFrom, PutBlobOptions, WritableRepository } from '../images/image-repository.ts'
import type { ManifestInfo, StoredManifest } from '../metadata/manifest-records.ts'
import { selectRange } from '../objects/byte-range.ts'
import type { Reference, RepositoryName, Tag } from '../reference.ts'
import { pushAccess } from './access.ts'
import { mountRemoteBlob } from './blob-mount.ts'
import { type AskedRepository, openResumed, statRemoteBlob } from './blob-reads.ts'
import { putRemoteBlob } from './blob-upload.ts'
import { getManifest, statManifest } from './manifest-reads.ts'
import { deleteRemoteTag, putRemoteManifest } from './manifest-writes.ts'
import { remoteTags } from './name-lists.ts'
import { remoteReferrers } from './referrer-lists.ts'
import type { RegistryClient } from './registry-client.ts'

/** One repository of a registry elsewhere. */
export class HttpRepository implements WritableRepository {
  readonly label: string
  readonly #name: RepositoryName
  readonly #choose: (options: Abortable) => Promise<RegistryClient>

  /** @param choose as whom it is asked, at this moment. */
  constructor(
    registry: string,
    name: RepositoryName,
    choose: (options: Abortable) => Promise<RegistryClient>,
  ) {
    this.label = `${registry}/${name}`
    this.#name = name
    this.#choose = choose
  }

  async stat(reference: Reference, options: Abortable = {}): Promise<ManifestInfo> {
    return await statManifest(await this.#asked(options), reference, options)
  }

  async get(reference: Reference, options: Abortable = {}): Promise<StoredManifest> {
    return await getManifest(await this.#asked(options), reference, options)
  }

  async statBlob(digest: Digest, options: Abortable = {}): Promise<BlobInfo> {
    return await statRemoteBlob(await this.#asked(options), digest, options)
  }

  async openBlob(digest: Digest, { range, signal }: OpenBlobOptions = {}): Promise<BlobBody> {
    const asked = await this.#asked({ signal })
    // What can be no range is not asked for.
    if (range !== undefined) selectRange(Number.MAX_SAFE_INTEGER, range, { resource: 'blob', name: digest })
    const last = Number.isSafeInteger(range?.last) ? range?.last : undefined
    const wanted = { first: range?.first ?? 0, last }
    const opened = await openResumed(asked, digest, wanted, { signal })
    if (opened.size !== undefined) return { digest, size: opened.size, stream: opened.stream }
    // A body without an end is not begun with.
    opened.stream.destroy()
    const { size } = await statRemoteBlob(asked, digest, { signal })
    const { stream } = await openResumed(asked, digest, { ...wanted, size }, { signal })
    return { digest, size, stream }
  }

  async *tags(options: Abortable = {}): AsyncGenerator<Tag> {
    yield* remoteTags(await this.#asked(options), options)
  }

  async *referrers(subject: Digest, options: Abortable = {}): AsyncGenerator<Descriptor> {
    yield* remoteReferrers(await this.#asked(options), subject, options)
  }

  async hasBlob({ digest }: BlobInfo, options: Abortable = {}): Promise<boolean> {
    const { client } = await this.#asked(options)
    return await client.hasBlob(this.#name, digest, options, pushAccess(this.#name))
  }

  async mountBlob(
    blob: BlobInfo,
    from: readonly RepositoryName[],
    options: Abortable = {},
  ): Promise<boolean> {
    return await mountRemoteBlob(await this.#asked(options), blob, from, options)
  }

  async putBlob(blob: BlobInfo, open: OpenBlobFrom, options: PutBlobOptions = {}): Promise<void> {
    await putRemoteBlob(await this.#asked(options), blob, open, options)
  }

  async putManifest(manifest: StoredManifest, tags: readonly Tag[], options: Abortable = {}): Promise<void> {
    await putRemoteManifest(await this.#asked(options), manifest, tags, options)
  }

  async deleteTag(tag: Tag, options: Abortable = {}): Promise<void> {
    await deleteRemoteTag(await this.#asked(options), tag, options)
  }

  async #asked(options: Abortable): Promise<AskedRepository> {
    options.signal?.throwIfAborted()
    return { client: await this.#choose({ signal: options.signal }), repository: this.#name }
  }
}
