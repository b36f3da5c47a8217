import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { ProcessLock } from '../../../storage/process-lock.ts'
import { onDisk } from '../fs-errors.ts'
import { flush } from './copy-tree.ts'
import type { DirectoryLayout } from './directory-layout.ts'
import { syncDirectory } from './record-files.ts'

/**
 * A private place in `building/` for what is not finished: it becomes something by one rename, or nothing.
 * Its lock tells others that its process lives.
 */
export class Staging implements AsyncDisposable {
  readonly directory: string
  readonly #lock: ProcessLock

  private constructor(directory: string, lock: ProcessLock) {
    this.directory = directory
    this.#lock = lock
  }

  static async create(layout: DirectoryLayout): Promise<Staging> {
    const staging = Staging.#reserve(layout)
    try {
      await onDisk(staging.directory, () => mkdir(staging.directory, { mode: 0o700 }))
      return staging
    } catch (error) {
      staging.#lock.retire()
      throw error
    }
  }

  /** Takes something out of its place, so that it is gone at once however long removing its files takes. */
  static async takeOut(layout: DirectoryLayout, path: string): Promise<Staging> {
    const staging = Staging.#reserve(layout)
    try {
      await onDisk(path, () => rename(path, staging.directory))
      await syncDirectory(dirname(path))
      return staging
    } catch (error) {
      staging.#lock.retire()
      throw error
    }
  }

  /** What dead processes have left. */
  static async leftBehind(layout: DirectoryLayout): Promise<string[]> {
    const ids = await onDisk(layout.building, () => readdir(layout.building))
    return ids.toSorted().filter(id => !ProcessLock.isHeld(join(layout.locks, id)))
  }

  /** Removes what a dead process has left; answers whether there was something. */
  static async reclaim(layout: DirectoryLayout, id: string): Promise<boolean> {
    const lock = ProcessLock.tryAcquire(join(layout.locks, id))
    if (lock === undefined) return false
    await using _staging = new Staging(join(layout.building, id), lock)
    return true
  }

  /** Removes the locks of processes that died before they made a directory, or after it was gone. */
  static async dropStrayLocks(layout: DirectoryLayout): Promise<void> {
    for (const id of await onDisk(layout.locks, () => readdir(layout.locks)))
      await ProcessLock.retireStray(join(layout.locks, id), () => !existsSync(join(layout.building, id)))
  }

  static #reserve(layout: DirectoryLayout): Staging {
    const id = randomBytes(8).toString('hex')
    const lock = ProcessLock.tryAcquire(join(layout.locks, id))
    if (lock !== undefined) return new Staging(join(layout.building, id), lock)
    throw new DomainError('busy', `${id} is locked by another process; try again.`, {
      resource: 'chain',
      name: id,
    })
  }

  /**
   * Puts the directory, with all that is in it, at its final path, where it survives a crash of the machine.
   * Answers `false` when something is there already.
   */
  async publish(path: string, options: Abortable = {}): Promise<boolean> {
    await flush(this.directory, options)
    options.signal?.throwIfAborted()
    try {
      await onDisk(path, () => rename(this.directory, path))
    } catch (error) {
      if (isDomainError(error, 'already_exists')) return false
      throw error
    }
    await syncDirectory(dirname(path))
    return true
  }

  /** Removes what was not published. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await onDisk(this.directory, () => rm(this.directory, { recursive: true, force: true }))
      this.#lock.retire()
    } finally {
      this.#lock.release()
    }
  }
}
