import { setInterval as everySoOften } from 'node:timers/promises'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BackupRecord } from '../../storage/backups/backup-record.ts'
import type { BackupStore } from '../../storage/backups/backup-store.ts'
import type { MetadataSnapshot } from '../../storage/metadata/backup/snapshot.ts'
import type { BackupRecords } from '../../storage/metadata/backup-records.ts'
import type { SettingRecords } from '../../storage/metadata/setting-records.ts'
import { isFarAhead, isPassed } from '../is-passed.ts'
import { newestFirst } from './newest-first.ts'

export interface BackupRunsParts {
  readonly records: BackupRecords & SettingRecords
  readonly backups: Pick<BackupStore, 'write' | 'list' | 'remove' | 'removeLeftBehind'>
  readonly openSnapshot: (options: Abortable) => Promise<MetadataSnapshot>
  /** This process, for others. */
  readonly holder: string
  /** Proposed as the name of this registry, when it has none yet. */
  readonly instance: string
  readonly settings: BackupSettings
  /** A process that dies lets others go on after so long; two minutes unless given. Extended after each quarter of it. */
  readonly leaseMs?: number | undefined
  /** Told why old backups could not be deleted, which the next run tries again. */
  readonly onDeletionFailure?: ((error: DomainError) => void) | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
}

export interface BackupSettings {
  /** How old the newest backup may be before there is another one. */
  readonly everyMs: number
  /** How many are kept, the newest ones, of wrong clocks last; 0: all, and nothing is ever deleted. */
  readonly keep: number
}

/** What became of a look at whether a backup is due. */
export interface BackupTick {
  /** `elsewhere`: another process is at it. */
  readonly outcome: 'made' | 'not due' | 'elsewhere'
  /** The newest one that there is; undefined when there is none. */
  readonly newest: BackupRecord | undefined
  /** How many older ones were deleted. */
  readonly deleted: number
}

const defaultLeaseMs = 120_000

/** Makes backups, one at a time among all processes, and deletes old ones when there is a newer one that was read back. */
export class BackupRuns {
  readonly #parts: BackupRunsParts
  readonly #now: () => number

  constructor(parts: BackupRunsParts) {
    this.#parts = parts
    this.#now = parts.now ?? Date.now
  }

  /** @throws DomainError `busy` while another process makes one. */
  async run(options: Abortable = {}): Promise<BackupRecord> {
    const made = await this.#alone(options, async own => {
      const record = await this.#make(own)
      await this.#deleteOld(record, own)
      return record
    })
    if (made !== undefined) return made
    throw new DomainError(
      'busy',
      'Another process makes a backup at this moment; `varve backup list` shows it when it is done.',
      { resource: 'backup' },
    )
  }

  /** Makes one when it is due. */
  async tick(options: Abortable = {}): Promise<BackupTick> {
    const newest = await this.#newest(options)
    if (!this.#isDue(newest)) return { outcome: 'not due', newest, deleted: 0 }
    const made = await this.#alone(options, async own => {
      // Another process may have made one before it was our turn.
      const latest = await this.#newest(own)
      if (!this.#isDue(latest)) return { outcome: 'not due' as const, newest: latest, deleted: 0 }
      const record = await this.#make(own)
      return { outcome: 'made' as const, newest: record, deleted: await this.#deleteOld(record, own) }
    })
    return made ?? { outcome: 'elsewhere', newest, deleted: 0 }
  }

  #isDue(newest: BackupRecord | undefined): boolean {
    return newest === undefined || isPassed(this.#parts.settings.everyMs, newest.madeAt, this.#now())
  }

  /** Of those whose time can be believed. */
  async #newest(options: Abortable): Promise<BackupRecord | undefined> {
    return (await this.#own(options)).find(({ madeAt }) => !isFarAhead(madeAt, this.#now()))
  }

  async #make(options: Abortable): Promise<BackupRecord> {
    const { backups, openSnapshot } = this.#parts
    const instance = await this.#instance(options)
    const takenAt = new Date(this.#now())
    await using snapshot = await openSnapshot(options)
    return await backups.write(snapshot, instance, { ...options, takenAt })
  }

  /** @param made the one that was just made: clocks differ, so it need not be the newest. */
  async #deleteOld(made: BackupRecord, options: Abortable): Promise<number> {
    const { backups, settings, onDeletionFailure } = this.#parts
    if (settings.keep === 0) return 0
    try {
      await backups.removeLeftBehind(options)
      const old = (await this.#own(options)).slice(settings.keep).map(({ id }) => id)
      const deleted = old.filter(id => id !== made.id)
      if (deleted.length > 0) await backups.remove(deleted, options)
      return deleted.length
    } catch (error) {
      // There is a new backup, whatever becomes of the old ones.
      if (!isDomainError(error)) throw error
      onDeletionFailure?.(error)
      return 0
    }
  }

  /** Newest first. Others' backups in the same place are theirs. */
  async #own(options: Abortable): Promise<BackupRecord[]> {
    const instance = await this.#instance(options)
    const own = (await this.#parts.backups.list(options)).filter(record => record.instance === instance)
    return newestFirst(own, this.#now())
  }

  #instance(options: Abortable): Promise<string> {
    const { records, instance } = this.#parts
    return records.agreeOn('instance-id', instance, options)
  }

  /** Works as long as the lease is ours; undefined when another process has it. */
  async #alone<Result>(
    { signal }: Abortable,
    work: (options: Abortable) => Promise<Result>,
  ): Promise<Result | undefined> {
    const { records, holder, leaseMs = defaultLeaseMs } = this.#parts
    const lease = (options: Abortable) =>
      records.leaseBackup({ holder, until: new Date(this.#now() + leaseMs) }, options)
    if (!(await lease({ signal }))) return undefined
    const ending = new AbortController()
    const own = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
    const extending = this.#extend(lease, leaseMs / 4, own).catch((error: unknown) => ending.abort(error))
    try {
      return await work({ signal: own })
    } catch (error) {
      // What says why it was ended says more than that it was.
      throw ending.signal.aborted ? ending.signal.reason : error
    } finally {
      ending.abort(new DOMException('the backup has ended', 'AbortError'))
      await extending
      await records.releaseBackup(holder).catch((error: unknown) => {
        // It runs out.
        if (!isDomainError(error)) throw error
      })
    }
  }

  async #extend(
    lease: (options: Abortable) => Promise<boolean>,
    extendMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      for await (const _ of everySoOften(extendMs, undefined, { signal }))
        if (!(await lease({ signal })))
          throw new DomainError('busy', 'Another process has taken the backup over.', { resource: 'backup' })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
