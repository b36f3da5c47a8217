import type { UploadProgress } from '../metadata/metadata.ts'
import type { MultipartUpload, UploadedPart } from '../objects/object-store.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'
import { PartBuffer } from './part-buffer.ts'
import { readTail, resumeParts } from './upload-bytes.ts'
import type { HashMark, UploadHash } from './upload-hash.ts'
import type { UploadSession } from './upload-session.ts'

/**
 * Appends bytes to a session. One part is being filled while the one before it is sent, and `append` waits when
 * both are full: memory is two parts, and the body feels the store's speed.
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
  #filling: PartBuffer | undefined
  #spare: PartBuffer | undefined
  #upload: MultipartUpload | undefined
  #sending: Promise<void> | undefined
  /** What is stored, as far as that is more than the session's record says. */
  #reached: Partial<UploadProgress> = {}
  /** A part is missing, so what came after it is of no use. */
  #hasGap = false

  constructor(parts: BlobStoreParts, session: UploadSession, hash: UploadHash) {
    this.#parts = parts
    this.#session = session
    this.#hash = hash
  }

  async append(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      this.#filling ??= await this.#refill()
      // A part is sent when a byte comes that it has no room for, so a blob of just one part stays one object.
      if (this.#filling.isFull) await this.#send(this.#filling)
      const taken = this.#filling.append(rest)
      this.#hash.update(rest.subarray(0, taken))
      rest = rest.subarray(taken)
    }
    if (this.#session.isRenewalDue) {
      await this.#session.renew()
      await this.#session.save(this.#reached)
    }
  }

  /**
   * Stores what has come so far, also after a failure: the session's record says afterwards how far the bytes are
   * safe. Call it once. @returns whether that is as far as they were appended.
   */
  async finish(): Promise<boolean> {
    try {
      await this.#settle()
      if (!this.#hasGap) await this.#putTail()
    } finally {
      await this.#session.save(this.#reached)
    }
    return !this.#hasGap
  }

  /** The buffer that goes on where the session stands: with its tail, if it has one. */
  async #refill(): Promise<PartBuffer> {
    const buffer = new PartBuffer(this.#session.record.partSize)
    buffer.append(await readTail(this.#parts, this.#session.record))
    return buffer
  }

  async #send(full: PartBuffer): Promise<void> {
    await this.#settle()
    this.#upload ??= await this.#beginOrResume()
    this.#sending = this.#sendPart(this.#upload, full, this.#hash.mark())
    // It is waited for later; until then its failure is nobody's.
    this.#sending.catch(() => undefined)
    this.#filling = this.#spare ?? new PartBuffer(this.#session.record.partSize)
    this.#spare = undefined
  }

  async #sendPart(upload: MultipartUpload, full: PartBuffer, mark: HashMark): Promise<void> {
    const before = this.#storedParts
    try {
      const parts = [...before, await upload.uploadPart(before.length + 1, full.bytes)]
      const offset = parts.length * this.#session.record.partSize
      this.#reached = { ...this.#reached, ...mark, parts, offset, tail: null }
    } catch (error) {
      this.#hasGap = true
      throw error
    }
    full.clear()
    this.#spare = full
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

  async #putTail(): Promise<void> {
    const filling = this.#filling
    if (filling === undefined || filling.size === 0) return
    const objectKey = await this.#session.reservedTailKey()
    // Whether it succeeds or not, something may be stored under this key from now on.
    this.#reached = { ...this.#reached, nextTailKey: null }
    await this.#parts.objects.put(objectKey, filling.bytes)
    const offset = this.#storedParts.length * this.#session.record.partSize + filling.size
    this.#reached = {
      ...this.#reached,
      ...this.#hash.mark(),
      offset,
      tail: { objectKey, size: filling.size },
    }
  }

  get #storedParts(): readonly UploadedPart[] {
    return this.#reached.parts ?? this.#session.record.parts
  }
}
