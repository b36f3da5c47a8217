import type { Readable } from 'node:stream'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf, createDigester, type Digest } from '../digest.ts'
import type { StoredBlob } from '../metadata/blob-records.ts'
import { unknownUpload } from '../metadata/upload-errors.ts'
import type { UploadProgress } from '../metadata/upload-records.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { Requester } from '../requester.ts'
import type { BlobInfo, BlobWriter, CommitOptions, UploadId, WriteOptions } from './blob-store.ts'
import { type BlobStoreParts, dropObjects } from './blob-store-parts.ts'
import { missingBytesOfOld } from './missing-bytes.ts'
import { PartWriter } from './part-writer.ts'
import { dropUnusedParts, finishObject, tailDigestOf } from './upload-bytes.ts'
import { knownDigest, UploadHash } from './upload-hash.ts'
import type { UploadSession } from './upload-session.ts'

/** A {@link BlobWriter} for one session. One call at a time. */
export class ObjectBlobWriter implements BlobWriter {
  readonly #parts: BlobStoreParts
  readonly #session: UploadSession
  readonly #onDispose: () => void
  /** The digest that runs on from one write to the next, while nothing has gone wrong. */
  #hash: UploadHash | undefined

  /** @param onDispose told when the writer is done with. */
  constructor(parts: BlobStoreParts, session: UploadSession, onDispose: () => void) {
    this.#parts = parts
    this.#onDispose = onDispose
    this.#session = session
  }

  get id(): UploadId {
    return this.#session.record.id
  }

  get offset(): number {
    return this.#session.record.offset
  }

  get committed(): Digest | undefined {
    return this.#session.record.committed ?? undefined
  }

  async write(body: Readable, { at, length, signal }: WriteOptions = {}): Promise<number> {
    signal?.throwIfAborted()
    this.#session.assertOpen()
    this.#checkPosition(at)
    const hash = this.#hash ?? UploadHash.after(this.#session.record, at !== undefined)
    this.#hash = undefined
    const writer = new PartWriter(this.#parts, this.#session, hash, { length, signal })
    try {
      if (length !== 0) await writer.prepare()
      await this.#append(writer, body, { length, signal })
    } finally {
      if (await writer.finish()) this.#hash = hash
    }
    return this.offset
  }

  async commit({ digest, size, by, signal }: CommitOptions): Promise<BlobInfo> {
    signal?.throwIfAborted()
    const { id, committed, repository } = this.#session.record
    if (committed === digest)
      return this.#parts.metadata.findBlob(repository, digest, { signal }).then(infoOf)
    this.#session.assertOpen()
    if (size !== undefined && size !== this.offset)
      throw new DomainError(
        'size_mismatch',
        `The upload ${id} has ${this.offset} bytes, not the ${size} that were announced.`,
        { resource: 'upload', name: id, offset: this.offset },
      )
    const known = knownDigest(this.#session.record, algorithmOf(digest))
    if (known !== undefined) await this.#endUnless(known, digest)
    if (this.offset === 0 && this.#session.record.tail === null) await this.#storeEmptyTail()
    const objectKey = await finishObject(this.#parts, this.#session.record)
    if (known === undefined)
      await this.#endUnless(await this.#readBackTwice(objectKey, digest, { signal }), digest)
    return this.#publish(objectKey, digest, by)
  }

  async cancel(options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (this.#session.record.committed !== null) throw unknownUpload(this.id)
    if (this.#session.isOpen) await this.#session.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#onDispose()
    await this.#session.release()
  }

  #checkPosition(at: number | undefined): void {
    if (at === undefined || at === this.offset) return
    throw new DomainError(
      'out_of_range',
      `The upload ${this.id} has ${this.offset} bytes, so nothing can be written at ${at}; go on from there.`,
      { resource: 'upload', name: this.id, offset: this.offset },
    )
  }

  async #append(writer: PartWriter, body: Readable, { length, signal }: WriteOptions): Promise<void> {
    const stop = () => body.destroy(signal?.reason instanceof Error ? signal.reason : undefined)
    signal?.addEventListener('abort', stop, { once: true })
    let received = 0
    try {
      // The body is the caller's, who may still want to answer on the connection that it came by.
      for await (const chunk of body.iterator({ destroyOnReturn: false })) {
        received += chunk.length
        if (length !== undefined && received > length) break
        await writer.append(chunk)
      }
      signal?.throwIfAborted()
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    if (length !== undefined && received !== length)
      throw new DomainError(
        'size_mismatch',
        `The body for the upload ${this.id} has ${received > length ? 'more' : 'fewer'} bytes than the ${length} that were announced.`,
        { resource: 'upload', name: this.id },
      )
  }

  /**
   * Another digest than was promised may be the store's mistake, for which nobody's upload is refused: only what it
   * has given twice alike is what it has.
   */
  async #readBackTwice(objectKey: ObjectKey, digest: Digest, options: Abortable): Promise<Digest> {
    const first = await this.#readBack(objectKey, digest, options)
    if (first === digest) return first
    const second = await this.#readBack(objectKey, digest, options)
    if (second === first || second === digest) return second
    throw new DomainError(
      'unavailable',
      `The object store gave other bytes of the object ${objectKey} the second time that it was read; try again, and look at the store if that goes on.`,
      { resource: 'object', name: objectKey },
    )
  }

  async #readBack(objectKey: ObjectKey, digest: Digest, { signal }: Abortable): Promise<Digest> {
    const digester = createDigester(algorithmOf(digest))
    const { stream } = await this.#parts.objects.get(objectKey, { signal })
    for await (const chunk of stream) {
      digester.update(chunk)
      if (this.#session.isRenewalDue) await this.#session.renew()
    }
    return digester.digest()
  }

  async #endUnless(actual: Digest, promised: Digest): Promise<void> {
    if (actual === promised) return
    await this.#session.end()
    throw new DomainError(
      'digest_mismatch',
      `The upload ${this.id} has the digest ${actual}, not ${promised}; it has been dropped, so send it again.`,
      { resource: 'upload', name: this.id },
    )
  }

  /**
   * No bytes are an object, too. As a tail it has a key of this writer's own: one that has lost its lease, and is still
   * at it, cannot put nothing over what its successor has stored.
   */
  async #storeEmptyTail(): Promise<void> {
    const objectKey = await this.#session.reservedTailKey()
    const nothing = new Uint8Array()
    let tail: UploadProgress['tail'] = null
    try {
      await this.#parts.objects.put(objectKey, nothing)
      tail = { objectKey, size: 0, digest: tailDigestOf(nothing) }
    } finally {
      await this.#session.save({ nextTailKey: null, tail })
    }
  }

  async #publish(objectKey: ObjectKey, digest: Digest, by: Requester | undefined): Promise<BlobInfo> {
    const { id, repository, offset, tail } = this.#session.record
    const blob = { digest, size: offset, objectKey, repository, uploadId: id, holder: this.#session.holder }
    const stored = await this.#parts.metadata.commitBlob(blob, { by })
    this.#session.close(digest)
    const replaced = new Set([objectKey, ...(tail === null ? [] : [tail.objectKey])])
    replaced.delete(stored.objectKey)
    await dropObjects(this.#parts, [...replaced])
    await dropUnusedParts(this.#parts, this.#session.record)
    if (stored.objectKey !== objectKey) await this.#assertIsThere(stored)
    return infoOf(stored)
  }

  /** The bytes that were pushed are dropped where others are stored already: so those must be there. */
  async #assertIsThere(stored: StoredBlob): Promise<void> {
    const size = await this.#parts.objects.head(stored.objectKey).then(
      object => object.size,
      (error: unknown) => {
        if (!isDomainError(error, 'not_found')) throw error
        return undefined
      },
    )
    if (size === stored.size) return
    this.#parts.onDamaged?.(stored)
    throw missingBytesOfOld(stored.digest)
  }
}

function infoOf({ digest, size }: BlobInfo): BlobInfo {
  return { digest, size }
}
