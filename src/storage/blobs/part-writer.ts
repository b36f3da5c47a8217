import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { unknownUpload } from '../metadata/upload-errors.ts'
import type { UploadProgress } from '../metadata/upload-records.ts'
import type { MultipartUpload, UploadedPart } from '../objects/object-store.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'
import { PartBuffer } from './part-buffer.ts'
import { readTail, resumeParts, tailDigestOf } from './upload-bytes.ts'
import type { HashMark, UploadHash } from './upload-hash.ts'
import type { UploadSession } from './upload-session.ts'

export interface PartWriterOptions extends Abortable {
  /** Bytes that will be appended, when that is known: no more memory than they need is asked for. */
  readonly length?: number | undefined
}

/**
 * Appends bytes to a session. One part is being filled while the one before it is sent, as long as there is memory
 * for both, and `append` waits when there is none: the body feels the store's speed, and that of all other uploads.
 *
 *     |-- part 1 --|-- part 2 --|-- part 3 --|- filling -|
 *       in the store             being sent    becomes the tail at the end
 *
 * What has been reached, counting from the first byte without a gap, is known at every moment, so that whatever
 * breaks off can be saved up to there.
 */
export class PartWriter {
  readonly #parts: BlobStoreParts
  readonly #session: UploadSession
  readonly #hash: UploadHash
  readonly #options: PartWriterOptions
  #appended = 0
  #filling: PartBuffer | undefined
  #fillingSince = 0
  /** The session's bytes after its last full part, which the next buffer begins with. */
  #unread: UploadProgress['tail']
  #upload: MultipartUpload | undefined
  #sending: Promise<void> | undefined
  /** What is stored, as far as that is more than the session's record says. */
  #reached: Partial<UploadProgress> = {}
  /** A part is missing, so what came after it is of no use. */
  #hasGap = false

  constructor(
    parts: BlobStoreParts,
    session: UploadSession,
    hash: UploadHash,
    options: PartWriterOptions = {},
  ) {
    this.#parts = parts
    this.#session = session
    this.#hash = hash
    this.#options = options
    this.#unread = session.record.tail
  }

  /**
   * Waits for the first memory. Before the body is read, so that of the uploads that wait here, however many, not a
   * byte is held.
   */
  async prepare(): Promise<void> {
    this.#filling ??= await this.#nextBuffer()
  }

  async append(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      // A part is sent when a byte comes that it has no room for, so a blob of just one part stays one object.
      if (this.#filling?.isFull) await this.#send(this.#filling)
      this.#filling ??= await this.#nextBuffer()
      const taken = this.#filling.append(rest)
      this.#appended += taken
      this.#hash.update(taken === rest.length ? rest : rest.subarray(0, taken))
      rest = rest.subarray(taken)
    }
    if (this.#session.isRenewalDue) {
      await this.#session.renew()
      await this.#session.save(this.#reached)
    } else if (this.#isSaveDue) await this.#session.save(this.#reached)
    if (this.#isOverdue) await this.#giveWay()
  }

  /**
   * Stores what has come so far, also after a failure: the session's record says afterwards how far the bytes are
   * safe. Call it once. @returns whether that is as far as they were appended.
   */
  async finish(): Promise<boolean> {
    try {
      await this.#settle()
      if (!this.#hasGap) await this.#storeRest()
    } finally {
      this.#filling?.[Symbol.dispose]()
      await this.#session.save(this.#reached)
    }
    return !this.#hasGap
  }

  /**
   * A buffer that goes on where the session stands: with its tail, if it has one. Memory for a second part is taken
   * only when nobody waits for it; waiting for it would mean to hold the first one meanwhile.
   */
  async #nextBuffer(): Promise<PartBuffer> {
    const { buffers } = this.#parts
    const { signal } = this.#options
    let loan = this.#sending === undefined ? undefined : buffers.tryTake(this.#neededBytes)
    if (loan === undefined) {
      await this.#settle()
      loan = await buffers.take(this.#neededBytes, { signal })
    }
    const buffer = new PartBuffer(loan, this.#neededBytes)
    try {
      await readTail(this.#parts, { tail: this.#unread }, buffer, { signal })
    } catch (error) {
      buffer[Symbol.dispose]()
      throw error
    }
    this.#unread = null
    this.#fillingSince = this.#parts.now()
    return buffer
  }

  /** Bytes of the next part: never more than will come. */
  get #neededBytes(): number {
    const { partSize } = this.#session.record
    const { length } = this.#options
    if (length === undefined) return partSize
    return Math.min(partSize, (this.#unread?.size ?? 0) + length - this.#appended)
  }

  async #send(full: PartBuffer): Promise<void> {
    await this.#settle()
    // Not a part for whoever has waited so long that the upload may be another writer's.
    if (this.#session.isRenewalDue) await this.#session.renew()
    this.#upload ??= await this.#beginOrResume()
    this.#sending = this.#sendPart(this.#upload, full, this.#hash.mark())
    // It is waited for later; until then its failure is nobody's.
    this.#sending.catch(() => undefined)
    this.#filling = undefined
  }

  async #sendPart(upload: MultipartUpload, full: PartBuffer, mark: HashMark): Promise<void> {
    using part = full
    const before = this.#storedParts
    try {
      const parts = [...before, await upload.uploadPart(before.length + 1, part.bytes)]
      const offset = parts.length * this.#session.record.partSize
      this.#reached = { ...this.#reached, ...mark, parts, offset, tail: null }
    } catch (error) {
      this.#hasGap = true
      part.discard()
      // A commit that broke off has made an object of what there was: it can be repeated, but no more be continued.
      throw isDomainError(error, 'not_found') ? unknownUpload(this.#session.record.id) : error
    }
  }

  async #settle(): Promise<void> {
    const sending = this.#sending
    this.#sending = undefined
    await sending
  }

  async #beginOrResume(): Promise<MultipartUpload> {
    const upload = await resumeParts(this.#parts, this.#session.record)
    if (this.#session.record.multipartToken !== null) return upload
    try {
      await this.#session.save({ multipartToken: upload.token })
      return upload
    } catch (error) {
      // Nobody but us knows its token, so nobody else could ever delete its parts.
      await upload.abort()
      throw error
    }
  }

  /** Whether this upload fills its part so slowly that it should not keep others waiting for the memory. */
  get #isOverdue(): boolean {
    const { buffers, settings, now } = this.#parts
    return this.#filling !== undefined && buffers.isShort && now() - this.#fillingSince >= settings.partHoldMs
  }

  /** Whether so much is stored that whoever goes on after a crash should know of it. */
  get #isSaveDue(): boolean {
    const { offset = 0 } = this.#reached
    return offset - this.#session.record.offset >= this.#parts.settings.saveEveryBytes
  }

  /** Stores what has come so far and gives the memory back; the next byte waits for it like everybody else's. */
  async #giveWay(): Promise<void> {
    await this.#settle()
    await this.#putTail()
    this.#filling?.[Symbol.dispose]()
    this.#filling = undefined
    await this.#session.save(this.#reached)
    this.#reached = {}
    this.#unread = this.#session.record.tail
  }

  async #storeRest(): Promise<void> {
    // After other parts a full one is as good as in place: as a tail it would be stored, read and stored again.
    if (this.#filling?.size === this.#session.record.partSize && this.#storedParts.length > 0) {
      await this.#send(this.#filling)
      await this.#settle()
    } else await this.#putTail()
  }

  async #putTail(): Promise<void> {
    const filling = this.#filling
    if (filling === undefined || filling.size === 0) return
    const objectKey = await this.#session.reservedTailKey()
    const digest = tailDigestOf(filling.bytes)
    // Whether it succeeds or not, something may be stored under this key from now on.
    this.#reached = { ...this.#reached, nextTailKey: null }
    try {
      await this.#parts.objects.put(objectKey, filling.bytes)
    } catch (error) {
      filling.discard()
      throw error
    }
    const offset = this.#storedParts.length * this.#session.record.partSize + filling.size
    this.#reached = {
      ...this.#reached,
      ...this.#hash.mark(),
      offset,
      tail: { objectKey, size: filling.size, digest },
    }
  }

  get #storedParts(): readonly UploadedPart[] {
    return this.#reached.parts ?? this.#session.record.parts
  }
}
