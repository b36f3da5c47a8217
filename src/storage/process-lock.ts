import { rmSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { DomainError } from '../errors.ts'

/**
 * SQLITE_BUSY (sqlite.org/rescode.html#busy): another connection, of this process or another, holds the lock.
 */
const sqliteBusy = 5

/** Between making the file of a lock and locking it there are microseconds; a machine that swaps may take longer. */
const youngMs = 60_000

/**
 * An exclusive lock on a file that the kernel drops when its process dies, however it dies.
 *
 * So nothing is ever stale: no process IDs to compare, no time-outs to guess. Node itself has no call for a
 * file lock; an empty SQLite database with an open exclusive transaction is one (sqlite.org/lockingv3.html).
 */
export class ProcessLock implements Disposable {
  readonly #path: string
  readonly #database: DatabaseSync

  private constructor(path: string, database: DatabaseSync) {
    this.#path = path
    this.#database = database
  }

  /**
   * Never waits: `undefined` when somebody holds it. The directory of `path` must exist.
   * @throws DomainError `unavailable` when the file cannot be made or locked at all.
   */
  static tryAcquire(path: string): ProcessLock | undefined {
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(path, { timeout: 0 })
      // Nothing is ever written, so a journal file beside the lock would only be litter.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
      return new ProcessLock(path, database)
    } catch (cause) {
      database?.close()
      if (isBusy(cause)) return undefined
      throw lockFailure(path, cause)
    }
  }

  /** Whether some process holds the lock at this moment. */
  static isHeld(path: string): boolean {
    const lock = ProcessLock.tryAcquire(path)
    lock?.release()
    return lock === undefined
  }

  /**
   * Removes the file of a lock that nobody holds, if it is of no more use and its name will never be locked again. One that
   * was made within the last minute is passed over: whoever has made it may not have locked it yet.
   */
  static async retireStray(path: string, isOfNoUse: () => boolean | Promise<boolean>): Promise<void> {
    const info = statSync(path, { throwIfNoEntry: false })
    if (info === undefined || Date.now() - info.mtimeMs < youngMs) return
    using lock = ProcessLock.tryAcquire(path)
    if (lock !== undefined && (await isOfNoUse())) lock.retire()
  }

  /** Idempotent. The file stays: to remove it would let two processes lock two files of one name. */
  release(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  /** Releases and removes the file; only for a name that will never be locked again. */
  retire(): void {
    rmSync(this.#path, { force: true })
    this.release()
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy
}

function lockFailure(path: string, cause: unknown): DomainError {
  return new DomainError(
    'unavailable',
    `The lock ${path} cannot be taken; check that its directory is there, writable and on a disk of this host.`,
    { resource: 'object', name: path },
    { cause },
  )
}
