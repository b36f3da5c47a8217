import type { Readable } from 'node:stream'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type {
  BlobBody,
  BlobInfo,
  BlobStore,
  BlobWriter,
  CommitOptions,
  CreateUploadOptions,
  OpenBlobOptions,
  RepositoryBlobs,
  SessionOptions,
  UploadId,
  UploadStatus,
  WriteOptions,
} from '../../storage/blobs/blob-store.ts'
import type { Digest } from '../../storage/digest.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import type { ChangeOptions } from '../../storage/requester.ts'
import { PacedStream } from '../../storage/streams/paced-stream.ts'
import type { TenantQuota } from './tenant-quota.ts'
import type { TenantQuotas } from './tenant-quotas.ts'

/**
 * Blobs of tenants that have quotas. What there is no room for is refused before its bytes are taken where their number
 * is known, and otherwise when they have become too many.
 *
 * An upload that is refused is cancelled: its bytes count until they are gone, and nobody could go on with it before
 * others have made room for it.
 */
export class QuotaBlobStore implements BlobStore {
  readonly #blobs: BlobStore
  readonly #quotas: TenantQuotas

  constructor(blobs: BlobStore, quotas: TenantQuotas) {
    this.#blobs = blobs
    this.#quotas = quotas
  }

  repository(name: RepositoryName): RepositoryBlobs {
    return new QuotaRepositoryBlobs(this.#blobs, this.#quotas, name)
  }
}

class QuotaRepositoryBlobs implements RepositoryBlobs {
  readonly #store: BlobStore
  readonly #quotas: TenantQuotas
  readonly #name: RepositoryName
  readonly #blobs: RepositoryBlobs

  constructor(store: BlobStore, quotas: TenantQuotas, name: RepositoryName) {
    this.#store = store
    this.#quotas = quotas
    this.#name = name
    this.#blobs = store.repository(name)
  }

  stat(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    return this.#blobs.stat(digest, options)
  }

  open(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody> {
    return this.#blobs.open(digest, options)
  }

  presign(digest: Digest, expiresInSeconds: number, options?: Abortable): Promise<URL | undefined> {
    return this.#blobs.presign(digest, expiresInSeconds, options)
  }

  status(id: UploadId, options?: SessionOptions): Promise<UploadStatus> {
    return this.#blobs.status(id, options)
  }

  async create(options?: CreateUploadOptions): Promise<BlobWriter> {
    options?.signal?.throwIfAborted()
    const quota = await this.#quotas.of(this.#name, options)
    if (quota === undefined) return this.#blobs.create(options)
    await quota.assertRepository(this.#name, options)
    await quota.assertRoomForUpload(options)
    return new QuotaBlobWriter(await this.#blobs.create(options), quota, this.#name)
  }

  async resume(id: UploadId, options?: SessionOptions): Promise<BlobWriter> {
    options?.signal?.throwIfAborted()
    const quota = await this.#quotas.of(this.#name, options)
    const writer = await this.#blobs.resume(id, options)
    return quota === undefined ? writer : new QuotaBlobWriter(writer, quota, this.#name)
  }

  async link(digest: Digest, from: RepositoryName | undefined, options?: ChangeOptions): Promise<BlobInfo> {
    options?.signal?.throwIfAborted()
    const quota = await this.#quotas.of(this.#name, options)
    if (quota === undefined) return this.#blobs.link(digest, from, options)
    // Of a blob that is not where it is to come from, the mount itself tells.
    const size = from === undefined ? undefined : await sizeAt(this.#store.repository(from), digest, options)
    const isFree = await quota.hasBlob(digest, options)
    if (from === undefined || size !== undefined) {
      await quota.assertRepository(this.#name, options)
      if (!isFree) await quota.assertRoom(size, options)
    }
    const info = await this.#blobs.link(digest, from, options)
    if (!isFree) quota.stored(info.size)
    return info
  }
}

async function sizeAt(
  blobs: RepositoryBlobs,
  digest: Digest,
  options?: Abortable,
): Promise<number | undefined> {
  try {
    return (await blobs.stat(digest, { signal: options?.signal })).size
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}

class QuotaBlobWriter implements BlobWriter {
  readonly #writer: BlobWriter
  readonly #quota: TenantQuota
  readonly #repository: RepositoryName

  constructor(writer: BlobWriter, quota: TenantQuota, repository: RepositoryName) {
    this.#writer = writer
    this.#quota = quota
    this.#repository = repository
  }

  get id(): UploadId {
    return this.#writer.id
  }

  get offset(): number {
    return this.#writer.offset
  }

  get committed(): Digest | undefined {
    return this.#writer.committed
  }

  write(body: Readable, options: WriteOptions = {}): Promise<number> {
    return this.#orCancel(async () => {
      const { length, signal } = options
      signal?.throwIfAborted()
      // What does not fit where the session stands is refused for that, and costs nothing.
      const isMisplaced = options.at !== undefined && options.at !== this.offset
      if (length === 0 || isMisplaced || this.committed !== undefined)
        return this.#writer.write(body, options)
      using coming = await this.#quota.receive({ length, stored: () => this.offset }, { signal })
      const counted = new PacedStream(
        body,
        { sliceBytes: Number.POSITIVE_INFINITY, pass: (bytes, aborts) => coming.received(bytes, aborts) },
        { owns: false },
      )
      try {
        return await this.#writer.write(counted, options)
      } finally {
        counted.destroy()
        // What ends with the request ends its body, too.
        if (signal?.aborted) body.destroy()
      }
    })
  }

  commit(options: CommitOptions): Promise<BlobInfo> {
    return this.#orCancel(async () => {
      const { digest, signal } = options
      signal?.throwIfAborted()
      if (this.committed !== undefined) return this.#writer.commit(options)
      await this.#quota.assertRepository(this.#repository, { signal })
      return this.#quota.commit(digest, this.offset, () => this.#writer.commit(options), { signal })
    })
  }

  cancel(options?: Abortable): Promise<void> {
    return this.#writer.cancel(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }

  async #orCancel<Result>(attempt: () => Promise<Result>): Promise<Result> {
    try {
      return await attempt()
    } catch (error) {
      if (isDomainError(error, 'denied') && error.details.resource === 'quota') await this.#drop()
      throw error
    }
  }

  /** What cannot be dropped now expires. */
  async #drop(): Promise<void> {
    try {
      await this.#writer.cancel()
    } catch (error) {
      if (!isDomainError(error)) throw error
    }
  }
}
