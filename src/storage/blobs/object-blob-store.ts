import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { StoredBlob } from '../metadata/blob-records.ts'
import { mayContinue, unknownUpload } from '../metadata/upload-errors.ts'
import { selectRange } from '../objects/byte-range.ts'
import type { ObjectBody } from '../objects/object-store.ts'
import type { Presigner } from '../objects/presigner.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import { abortWith } from '../streams/abort-with.ts'
import { BytesStream } from '../streams/bytes-stream.ts'
import type { DigestThread } from '../streams/digest-thread.ts'
import { isDirect } from '../streams/direct.ts'
import { untilReadable } from '../streams/readable.ts'
import type { BlobCache } from './blob-cache.ts'
import type {
  BlobBody,
  BlobInfo,
  BlobStore,
  BlobWriter,
  CreateUploadOptions,
  OpenBlobOptions,
  RepositoryBlobs,
  SessionOptions,
  UploadId,
  UploadStatus,
} from './blob-store.ts'
import { type BlobStoreParts, type BlobStoreSettings, defaultBlobStoreSettings } from './blob-store-parts.ts'
import { BufferBudget } from './buffer-budget.ts'
import { missingBytes } from './missing-bytes.ts'
import { ObjectBlobWriter } from './object-blob-writer.ts'
import { trustedBody } from './trusted-body.ts'
import { UploadSession } from './upload-session.ts'
import {
  type GarbageReport,
  type SweepGarbageOptions,
  type SweepReport,
  sweepGarbage,
  sweepUploads,
} from './upload-sweep.ts'

export interface ObjectBlobStoreOptions extends Pick<BlobStoreParts, 'objects' | 'metadata'> {
  readonly presigner?: Presigner | undefined
  readonly settings?: Partial<BlobStoreSettings> | undefined
  /** Shared with whatever else reads bodies in this process; eight parts of its own unless given. */
  readonly buffers?: BufferBudget | undefined
  /** Small blobs that were read last; none are kept unless given. */
  readonly cache?: BlobCache | undefined
  /** Where large blobs are checked on their way out; in the thread that sends them unless given. */
  readonly digests?: DigestThread | undefined
  /** Told of a blob whose object turned out not to have its bytes when it was read; must not throw. */
  readonly onDamaged?: ((blob: StoredBlob) => void) | undefined
  readonly now?: (() => number) | undefined
}

/**
 * Blobs as objects, and what is known of them as metadata. The metadata decides what exists: an object is written
 * first, under a key that nobody else knows, and one transaction makes it a blob.
 *
 * Nothing is remembered between calls but the bytes of small blobs, and of those not whether they exist: so any number of
 * processes may serve the same blobs and sessions.
 */
export class ObjectBlobStore implements BlobStore {
  readonly #parts: BlobStoreParts
  readonly #writers = new Set<BlobWriter>()

  constructor({
    objects,
    metadata,
    presigner,
    settings: given,
    buffers,
    cache,
    digests,
    onDamaged,
    now = Date.now,
  }: ObjectBlobStoreOptions) {
    const settings = { ...defaultBlobStoreSettings, ...given }
    const partBytes = settings.partSizeBytes
    this.#parts = {
      objects,
      metadata,
      presigner,
      settings,
      buffers: buffers ?? new BufferBudget({ limitBytes: 8 * partBytes, partBytes }),
      cache,
      digests,
      onDamaged,
      now,
    }
  }

  /** Upload sessions that this process is writing to, or may be about to. */
  get openWriters(): number {
    return this.#writers.size
  }

  repository(name: RepositoryName): RepositoryBlobs {
    return new ObjectRepositoryBlobs(this.#parts, this.#writers, name)
  }

  /** Deletes what expired uploads, and failures, have left behind. For a timer, on one replica at a time. */
  sweepUploads(now: Date, options?: Abortable): Promise<SweepReport> {
    return sweepUploads(this.#parts, now, options)
  }

  /** Deletes the objects of blobs that are gone, too, when their time is over. */
  sweepGarbage(options?: SweepGarbageOptions): Promise<GarbageReport> {
    return sweepGarbage(this.#parts, options)
  }
}

class ObjectRepositoryBlobs implements RepositoryBlobs {
  readonly #parts: BlobStoreParts
  readonly #writers: Set<BlobWriter>
  readonly #name: RepositoryName

  constructor(parts: BlobStoreParts, writers: Set<BlobWriter>, name: RepositoryName) {
    this.#parts = parts
    this.#writers = writers
    this.#name = name
  }

  async stat(digest: Digest, options?: Abortable): Promise<BlobInfo> {
    const { size } = await this.#parts.metadata.findBlob(this.#name, digest, options)
    return { digest, size }
  }

  async open(digest: Digest, options?: OpenBlobOptions): Promise<BlobBody> {
    const blob = await this.#parts.metadata.findBlob(this.#name, digest, options)
    const { size } = blob
    const { first, length } = selectRange(size, options?.range, { resource: 'blob', name: digest })
    const { cache } = this.#parts
    if (cache?.takes(size)) {
      const bytes = cache.find(digest) ?? (await this.#readSmall(blob, cache, options))
      const wanted = new BytesStream(bytes.subarray(first, first + length))
      return { digest, size, stream: abortWith(wanted, options?.signal) }
    }
    const object = await this.#get(blob, options)
    const body = trustedBody(
      { digest, size, stream: object.stream },
      {
        storedSize: object.size,
        verifies: this.#parts.settings.verifyReads && options?.range === undefined,
        onDamaged: () => this.#parts.onDamaged?.(blob),
        thread: this.#parts.digests,
      },
    )
    if (!isDirect(body.stream)) await untilReadable(body.stream)
    return body
  }

  /** Whole and checked, whatever part of it is wanted: that costs the store as much as a part. */
  async #readSmall(blob: StoredBlob, cache: BlobCache, options?: Abortable): Promise<Uint8Array> {
    const { digest, size } = blob
    const object = await this.#get(blob, { signal: options?.signal })
    const { stream } = trustedBody(
      { digest, size, stream: object.stream },
      { storedSize: object.size, verifies: true, onDamaged: () => this.#parts.onDamaged?.(blob) },
    )
    const bytes = await readInto(Buffer.allocUnsafeSlow(size), stream).catch((error: unknown) => {
      options?.signal?.throwIfAborted()
      throw error
    })
    cache.keep(digest, bytes)
    return bytes
  }

  /** The range was checked against the blob's size, so an object that does not have it is too short. */
  async #get(blob: StoredBlob, options: OpenBlobOptions | undefined): Promise<ObjectBody> {
    try {
      return await this.#parts.objects.get(blob.objectKey, options)
    } catch (error) {
      if (!isDomainError(error, 'not_found', 'out_of_range')) throw error
      this.#parts.onDamaged?.(blob)
      throw missingBytes(blob.digest, error)
    }
  }

  async presign(digest: Digest, expiresInSeconds: number, options?: Abortable): Promise<URL | undefined> {
    const { objectKey } = await this.#parts.metadata.findBlob(this.#name, digest, options)
    return this.#parts.presigner?.presignGet(objectKey, expiresInSeconds, options)
  }

  async create(options?: CreateUploadOptions): Promise<BlobWriter> {
    return this.#open(await UploadSession.create(this.#parts, this.#name, options))
  }

  async resume(id: UploadId, options?: SessionOptions): Promise<BlobWriter> {
    return this.#open(await UploadSession.resume(this.#parts, this.#name, id, options))
  }

  #open(session: UploadSession): BlobWriter {
    const writer: BlobWriter = new ObjectBlobWriter(this.#parts, session, () => this.#writers.delete(writer))
    this.#writers.add(writer)
    return writer
  }

  async status(id: UploadId, options?: SessionOptions): Promise<UploadStatus> {
    const upload = await this.#parts.metadata.getUpload(this.#name, id, options)
    const { offset, committed } = upload
    if (committed !== null || !mayContinue(upload, options?.account)) throw unknownUpload(id)
    return { id, offset }
  }

  async link(digest: Digest, from: RepositoryName | undefined, options?: ChangeOptions): Promise<BlobInfo> {
    const { size } = await this.#parts.metadata.linkBlob({ repository: this.#name, from, digest }, options)
    return { digest, size }
  }
}

/** @param into as many bytes as come. */
async function readInto(into: Buffer, stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  let read = 0
  for await (const chunk of stream) {
    into.set(chunk, read)
    read += chunk.length
  }
  return into
}
