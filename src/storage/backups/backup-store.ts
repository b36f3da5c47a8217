import { createReadStream } from 'node:fs'
import { pipeline, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DomainError, errnoOf, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { MetadataSnapshot, TableRows } from '../metadata/backup/snapshot.ts'
import {
  type BackupId,
  backupKey,
  backupKeyParts,
  backupPrefix,
  newBackupId,
  type ObjectKey,
} from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { VerifyStream } from '../streams/verify.ts'
import { packBackup, readBackup } from './backup-bytes.ts'
import { type BackupRecord, maxRecordBytes, parseRecord, recordBytes } from './backup-record.ts'
import type { BackupSummary } from './backup-lines.ts'
import { broken } from './broken-backup.ts'
import { writeBackupText } from './write-backup-text.ts'
import { type WrittenObject, writeObject } from './write-object.ts'

export type BackupObjects = Pick<ObjectStore, 'get' | 'put' | 'delete' | 'list' | 'createMultipart'>

export interface BackupStoreOptions {
  readonly objects: BackupObjects
  /** What backups are encrypted with; they are not unless given. */
  readonly secret?: Uint8Array | undefined
  /** Whether backups that are not encrypted are taken although there is a secret. */
  readonly acceptsUnencrypted?: boolean | undefined
  /** Of this Varve. */
  readonly version: string
  readonly now?: (() => number) | undefined
}

export interface WriteBackupOptions extends Abortable {
  /** No later than the snapshot: all that was acknowledged before is in it. Now, unless given. */
  readonly takenAt?: Date | undefined
}

/** Data without a record that is older than this was left behind by a process that died. */
const leftBehindMs = 24 * 60 * 60 * 1000

/**
 * Backups in an object store. What makes one is its record, which is written last, when all of it has been read back: so
 * there is no record of a backup that was not whole.
 *
 * Methods reject with `unavailable` and `no_space` as the store's do.
 */
export class BackupStore {
  readonly #objects: BackupObjects
  readonly #options: BackupStoreOptions
  readonly #now: () => number

  constructor(options: BackupStoreOptions) {
    this.#objects = options.objects
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /** @throws DomainError `digest_mismatch`, `invalid` when what is read back is not what was written. */
  async write(
    snapshot: MetadataSnapshot,
    instance: string,
    { takenAt: madeAt = new Date(this.#now()), ...options }: WriteBackupOptions = {},
  ): Promise<BackupRecord> {
    const { version, secret } = this.#options
    const id = newBackupId(madeAt)
    const key = backupKey(id, 'data')
    let written: WrittenObject | undefined
    let summary: BackupSummary | undefined
    try {
      const text = writeBackupText(
        snapshot,
        { id, madeAt, version, instance },
        made => {
          summary = made
        },
        options,
      )
      await packBackup(
        text,
        secret,
        async bytes => {
          written = await writeObject(this.#objects, key, bytes, options)
        },
        options,
      )
      if (written === undefined || summary === undefined) throw new Error('a backup has no end')
      const record: BackupRecord = {
        id,
        madeAt,
        verifiedAt: madeAt,
        version,
        engine: snapshot.shape.engine,
        instance,
        isEncrypted: secret !== undefined,
        ...written,
        rows: sumOf(summary.rows),
        eventPosition: summary.eventPosition,
      }
      const found = await this.#read(record, options)
      if (found.digest !== summary.digest) throw broken('what was read back is not what was written')
      const verified = { ...record, verifiedAt: new Date(this.#now()) }
      await this.#objects.put(backupKey(id, 'record'), recordBytes(verified), options)
      return verified
    } catch (error) {
      // What cannot be deleted now is when it is a day old.
      await this.remove([id]).catch(() => {})
      throw error
    }
  }

  /** Whole ones, newest first. A record that cannot be read is left out. */
  async list(options: Abortable = {}): Promise<BackupRecord[]> {
    const ids: BackupId[] = []
    for await (const { key } of this.#objects.list(backupPrefix, options)) {
      const parts = backupKeyParts(key)
      if (parts?.part === 'record') ids.push(parts.id)
    }
    const records: BackupRecord[] = []
    for (const id of ids.toReversed()) {
      try {
        records.push(await this.find(id, options))
      } catch (error) {
        if (!isDomainError(error, 'not_found', 'invalid')) throw error
      }
    }
    return records
  }

  /** @throws DomainError `not_found`, `invalid` for a record that cannot be read. */
  async find(id: BackupId, options: Abortable = {}): Promise<BackupRecord> {
    const { size, stream } = await this.#get(id, 'record', options)
    if (size > maxRecordBytes) {
      stream.destroy()
      throw broken('its record is too long')
    }
    const record = parseRecord(await buffer(stream))
    if (record.id !== id) throw broken('its record is that of another one')
    return record
  }

  /** Reads all of it. @throws DomainError `not_found`, `digest_mismatch`, `size_mismatch`, `invalid`. */
  async verify(id: BackupId, options: Abortable = {}): Promise<BackupRecord> {
    const record = await this.find(id, options)
    await this.#read(record, options)
    return record
  }

  /** Reads it, and gives its rows to `use`. They count only when this resolves. @throws DomainError as {@link verify}. */
  async read(
    record: BackupRecord,
    use: (rows: TableRows) => Promise<void>,
    options: Abortable = {},
  ): Promise<BackupSummary> {
    return await this.#read(record, options, use)
  }

  /** As {@link read}, of the data in a file, wherever it came from. */
  async readFile(
    path: string,
    use: (rows: TableRows) => Promise<void>,
    options: Abortable = {},
  ): Promise<BackupSummary> {
    try {
      return await this.#readStream(createReadStream(path), options, use)
    } catch (error) {
      const errno = errnoOf(error)
      if (isDomainError(error) || errno === undefined) throw error
      throw new DomainError(
        'not_found',
        `The file ${path} cannot be read (${errno}).`,
        { resource: 'backup', name: path },
        { cause: error },
      )
    }
  }

  /** Records first: what is half deleted is none any more. */
  async remove(ids: readonly BackupId[], options: Abortable = {}): Promise<void> {
    for (const part of ['record', 'data'] as const)
      await this.#objects.delete(
        ids.map(id => backupKey(id, part)),
        options,
      )
  }

  /** Removes what was begun long ago and never became a backup. Answers how many. */
  async removeLeftBehind(options: Abortable = {}): Promise<number> {
    const parts = new Map<BackupId, Set<string>>()
    for await (const { key } of this.#objects.list(backupPrefix, options)) {
      const found = backupKeyParts(key)
      if (found !== undefined) parts.set(found.id, (parts.get(found.id) ?? new Set()).add(found.part))
    }
    const before = newBackupId(new Date(this.#now() - leftBehindMs))
    const left = [...parts].filter(([id, has]) => !has.has('record') && id < before).map(([id]) => id)
    await this.remove(left, options)
    return left.length
  }

  async #read(
    record: BackupRecord,
    options: Abortable,
    use?: (rows: TableRows) => Promise<void>,
  ): Promise<BackupSummary> {
    const { id, size, digest } = record
    const { stream } = await this.#get(id, 'data', options)
    const checked = new VerifyStream({ digest, size, what: { resource: 'backup', name: id } })
    // Its failure is that of `checked`, too.
    pipeline(stream, checked, () => {})
    const summary = await this.#readStream(checked, options, use)
    if (summary.header.id !== id) throw broken('its data are those of another one')
    return summary
  }

  #readStream(
    stream: Readable,
    { signal }: Abortable,
    use: (rows: TableRows) => Promise<void> = async () => {},
  ): Promise<BackupSummary> {
    const { secret, acceptsUnencrypted = false } = this.#options
    const mustBeSealed = secret !== undefined && !acceptsUnencrypted
    return readBackup(stream, { secret, mustBeSealed, signal }, use)
  }

  async #get(id: BackupId, part: 'data' | 'record', options: Abortable) {
    const key: ObjectKey = backupKey(id, part)
    try {
      return await this.#objects.get(key, options)
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
      throw new DomainError(
        'not_found',
        part === 'record'
          ? `There is no backup ${id}; \`varve backup list\` shows those that there are.`
          : `The data of the backup ${id} are gone; choose another one.`,
        { resource: 'backup', name: id },
        { cause: error },
      )
    }
  }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
