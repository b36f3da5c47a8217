import { randomUUID } from 'node:crypto'
import { isDomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'
import { unknownUpload } from '../metadata/upload-errors.ts'
import type { UploadProgress, UploadRecord } from '../metadata/upload-records.ts'
import { newObjectKey, type ObjectKey } from '../objects/keys.ts'
import type { RepositoryName } from '../reference.ts'
import type { CreateUploadOptions, SessionOptions, UploadId } from './blob-store.ts'
import { type BlobStoreParts, dropObjects } from './blob-store-parts.ts'
import { abortParts, deleteUploadBytes, takeOverParts } from './upload-bytes.ts'
import { newUploadId } from './upload-id.ts'

/** One writer's hold on an upload: the record as it was last stored, and the lease that lets nobody else change it. */
export class UploadSession {
  readonly #parts: BlobStoreParts
  readonly #holder: string
  #record: UploadRecord
  #leaseUntil: number
  #isHeld = true
  /** What has been stored last is not known, so the next writer has to take over as from one that fell silent. */
  #mustRunOut = false
  #hasEnded = false

  private constructor(parts: BlobStoreParts, holder: string, record: UploadRecord, leaseUntil: number) {
    this.#parts = parts
    this.#holder = holder
    this.#record = record
    this.#leaseUntil = leaseUntil
  }

  static async create(
    parts: BlobStoreParts,
    repository: RepositoryName,
    { algorithm = 'sha256', account, signal }: CreateUploadOptions = {},
  ): Promise<UploadSession> {
    const { metadata, settings, now } = parts
    const holder = randomUUID()
    const leaseUntil = now() + settings.leaseMs
    const record = await metadata.createUpload(
      {
        id: newUploadId(),
        repository,
        algorithm,
        objectKey: newObjectKey(),
        partSize: settings.partSizeBytes,
        nextTailKey: newObjectKey(),
        holder,
        leaseUntil: new Date(leaseUntil),
        expiresAt: new Date(now() + settings.uploadTtlMs),
        account,
      },
      { signal },
    )
    return new UploadSession(parts, holder, record, leaseUntil)
  }

  /**
   * Whoever held the session and fell silent is shut out for good: not from the metadata only, which its lease does,
   * but from the parts as well.
   *
   * @throws DomainError `not_found`, `busy`.
   */
  static async resume(
    parts: BlobStoreParts,
    repository: RepositoryName,
    id: UploadId,
    { account, signal }: SessionOptions = {},
  ): Promise<UploadSession> {
    const holder = randomUUID()
    const leaseUntil = parts.now() + parts.settings.leaseMs
    const lease = { holder, until: new Date(leaseUntil), nextTailKey: newObjectKey(), account }
    const leased = await parts.metadata.leaseUpload(repository, id, lease, { signal })
    const session = new UploadSession(parts, holder, leased, leaseUntil)
    if (leased.isTakenOver) await session.#shutOutOthers()
    return session
  }

  get record(): UploadRecord {
    return this.#record
  }

  get holder(): string {
    return this.#holder
  }

  /** Whether bytes may still be added. */
  get isOpen(): boolean {
    return !this.#hasEnded && this.#record.committed === null
  }

  /** @throws DomainError `not_found` when the session is finished or was dropped. */
  assertOpen(): void {
    if (!this.isOpen) throw unknownUpload(this.#record.id)
  }

  /** Stores how far it has come, then deletes what that replaces. @throws DomainError `conflict`. */
  async save(change: Partial<UploadProgress>): Promise<void> {
    const before = this.#record
    const after: UploadRecord = {
      ...before,
      expiresAt: new Date(this.#parts.now() + this.#parts.settings.uploadTtlMs),
      ...change,
    }
    try {
      await this.#parts.metadata.saveUpload(before.id, this.#holder, after)
    } catch (error) {
      // Released, the next writer would take the reserved key for one that nothing was written under.
      this.#mustRunOut = true
      throw error
    }
    this.#record = after
    if (before.tail !== null && before.tail.objectKey !== after.tail?.objectKey)
      await dropObjects(this.#parts, [before.tail.objectKey])
  }

  /** Whether the lease has lost so much of its time that {@link renew} is due. */
  get isRenewalDue(): boolean {
    return this.#parts.now() > this.#leaseUntil - (this.#parts.settings.leaseMs * 2) / 3
  }

  /** @throws DomainError `conflict` or `not_found` when another writer has taken over meanwhile. */
  async renew(nextTailKey?: ObjectKey): Promise<void> {
    const { id, repository } = this.#record
    const leaseUntil = this.#parts.now() + this.#parts.settings.leaseMs
    const lease = { holder: this.#holder, until: new Date(leaseUntil), nextTailKey, isRenewal: true }
    this.#record = await this.#parts.metadata.leaseUpload(repository, id, lease)
    this.#leaseUntil = leaseUntil
  }

  async #shutOutOthers(): Promise<void> {
    try {
      const upload = await takeOverParts(this.#parts, this.#record)
      if (upload === undefined || upload.token === this.#record.multipartToken) return
      try {
        await this.save({ multipartToken: upload.token })
      } catch (error) {
        await upload.abort()
        throw error
      }
    } catch (error) {
      this.#mustRunOut = true
      await this.release()
      throw error
    }
  }

  /** A key for the next tail that is written down already. */
  async reservedTailKey(): Promise<ObjectKey> {
    if (this.#record.nextTailKey !== null) return this.#record.nextTailKey
    const key = newObjectKey()
    await this.renew(key)
    return key
  }

  /** Forgets the session and its bytes; what cannot be deleted now is left to the sweep, invisible to all. */
  async end(): Promise<void> {
    await this.#markEnded()
    this.#hasEnded = true
    try {
      await deleteUploadBytes(this.#parts, this.#record)
      await this.#parts.metadata.deleteUpload(this.#record.id)
    } catch (error) {
      if (!isDomainError(error)) throw error
      await this.release()
    }
  }

  async #markEnded(): Promise<void> {
    const mark = { expiresAt: new Date(0) }
    try {
      await this.save(mark)
    } catch (error) {
      if (!isDomainError(error, 'no_space') || this.#parts.now() >= this.#leaseUntil) throw error
      // The space that is missing may be what this session takes up. Without its parts it cannot become a blob.
      await abortParts(this.#parts, this.#record)
      await this.save(mark)
    }
  }

  /** The session has become a blob: what is left of it is its tombstone. */
  close(committed: Digest): void {
    this.#record = { ...this.#record, committed }
    this.#isHeld = false
  }

  /** Lets the next writer in. */
  async release(): Promise<void> {
    if (!this.#isHeld) return
    this.#isHeld = false
    if (this.#mustRunOut) await this.#letRunOut()
    else await this.#parts.metadata.releaseUpload(this.#record.id, this.#holder)
  }

  /** Ends the lease as time would, only sooner; when that fails, as it may after a failure, time will. */
  async #letRunOut(): Promise<void> {
    const { id, repository } = this.#record
    const lease = { holder: this.#holder, until: new Date(this.#parts.now()), isRenewal: true }
    try {
      await this.#parts.metadata.leaseUpload(repository, id, lease)
    } catch (error) {
      if (!isDomainError(error)) throw error
    }
  }
}
