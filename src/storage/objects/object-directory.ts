import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, copyFile, type FileHandle, link, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DomainError, errnoOf } from '../../errors.ts'
import { makeDirectories } from '../make-directories.ts'
import { sizeOfFile, syncDirectory, writeFully } from './durable-files.ts'
import type { ObjectKey } from './keys.ts'
import { cloneFile, linkFile } from './share-file.ts'

const tokenPattern = /^[0-9a-f]{32}$/

/**
 * Where objects are on a disk, and the order of writes that makes them survive a crash of the machine:
 *
 *     <root>/objects/<key>        complete objects
 *     <root>/staging/<token>      bytes on their way: a put, or the parts of a multipart upload
 *
 * Bytes are synced in `staging`, then appear under their key in one step, then that name is synced.
 */
export class ObjectDirectory {
  readonly objects: string
  readonly #root: string
  readonly #staging: string
  /** Directories whose own name is known to be on the disk. */
  readonly #durable = new Set<string>()

  constructor(root: string) {
    this.#root = resolve(root)
    this.objects = join(this.#root, 'objects')
    this.#staging = join(this.#root, 'staging')
  }

  async prepare(): Promise<void> {
    for (const directory of [this.objects, this.#staging]) await this.#makeDirectory(directory)
    await this.check()
  }

  /** Fails unless both directories are there and may be written to. */
  async check(): Promise<void> {
    for (const directory of [this.objects, this.#staging])
      await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  }

  objectPath(key: ObjectKey): string {
    return join(this.objects, key)
  }

  /** Bytes of a complete object, if there is one. */
  sizeOf(key: ObjectKey): Promise<number | undefined> {
    return sizeOfFile(this.objectPath(key))
  }

  async hasStaged(token: string): Promise<boolean> {
    return (await sizeOfFile(this.stagingPath(token))) !== undefined
  }

  newToken(): string {
    return randomBytes(16).toString('hex')
  }

  /** @throws DomainError `invalid` for a token that this class did not make: a path is built from it. */
  stagingPath(token: string): string {
    if (!tokenPattern.test(token))
      throw new DomainError('invalid', `${JSON.stringify(token)} is not the token of a multipart upload.`, {
        resource: 'object',
      })
    return join(this.#staging, token)
  }

  /** Makes an empty staged file whose name survives a crash, for parts to be written into. */
  async createStaged(token: string): Promise<void> {
    const file = await this.#openStaged(token)
    await file.close()
    await syncDirectory(this.#staging)
  }

  /** Writes and syncs a staged file; nothing is left when that fails. */
  async writeStaged(token: string, bytes: Uint8Array): Promise<void> {
    const file = await this.#openStaged(token)
    try {
      await writeFully(file, bytes, 0)
      await file.datasync()
    } catch (error) {
      await this.dropStaged(token)
      throw error
    } finally {
      await file.close()
    }
  }

  async dropStaged(token: string): Promise<void> {
    await rm(this.stagingPath(token), { force: true })
  }

  /**
   * Gives the first `size` bytes of a staged file to another one, and drops it. Where the file system can, they share
   * the space. After a crash in between, one of both is there, or both are.
   */
  async moveStaged(from: string, to: string, size: number): Promise<void> {
    const path = this.stagingPath(to)
    try {
      await copyFile(this.stagingPath(from), path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
      const file = await open(path, 'r+')
      try {
        if ((await file.stat()).size < size)
          throw new DomainError(
            'not_found',
            `The multipart upload ${from} has lost parts; begin a new one.`,
            {
              resource: 'object',
            },
          )
        await file.truncate(size)
        await file.sync()
      } finally {
        await file.close()
      }
      await syncDirectory(this.#staging)
    } catch (error) {
      await this.dropStaged(to)
      throw error
    }
    await this.dropStaged(from)
  }

  /** All staged files, with the time of the last write to each. */
  async listStaged(): Promise<{ readonly token: string; readonly since: Date }[]> {
    const staged: { token: string; since: Date }[] = []
    for (const token of await readdir(this.#staging)) {
      if (!tokenPattern.test(token)) continue
      try {
        staged.push({ token, since: (await stat(this.stagingPath(token))).mtime })
      } catch (error) {
        // It may have been finished meanwhile.
        if (errnoOf(error) !== 'ENOENT') throw error
      }
    }
    return staged
  }

  /** Lets a staged file, whose content is synced already, appear under its key. */
  async publish(token: string, key: ObjectKey, { ifAbsent }: { ifAbsent: boolean }): Promise<void> {
    const target = this.objectPath(key)
    const staged = this.stagingPath(token)
    await this.#inDirectory(dirname(target), staged, () =>
      ifAbsent ? link(staged, target) : rename(staged, target),
    )
    if (ifAbsent) await this.dropStaged(token)
    await syncDirectory(dirname(target))
  }

  /**
   * Gives a file that is on the same file system the name of an object, or an object of its own that shares the file's
   * space. The file's bytes are synced, whoever has written them.
   *
   * @returns false, and nothing is changed, where the file system can do neither.
   */
  async takeFile(path: string, key: ObjectKey): Promise<boolean> {
    const target = this.objectPath(key)
    // Not by way of staging: its time is the file's, so a sweep would take it for something that is long forgotten.
    if (await this.#inDirectory(dirname(target), path, () => linkFile(path, target))) {
      await syncDirectory(dirname(target))
      return true
    }
    const token = this.newToken()
    if (!(await cloneFile(path, this.stagingPath(token)))) return false
    await this.publish(token, key, { ifAbsent: false })
    return true
  }

  async #openStaged(token: string): Promise<FileHandle> {
    try {
      return await open(this.stagingPath(token), 'wx', 0o600)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') await this.#assertThere()
      throw error
    }
  }

  /**
   * Names a file in a directory, which is made where it is not there, or not any more: people remove empty ones.
   * @throws DomainError `unavailable` when it is removed once more meanwhile
   */
  async #inDirectory<Result>(
    directory: string,
    source: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (this.#durable.has(directory))
      try {
        return await work()
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error
        this.#durable.clear()
      }
    await this.#assertThere()
    try {
      await this.#makeDirectory(directory)
      return await work()
    } catch (cause) {
      // It may be the source that is gone, which is for the caller to judge.
      if (errnoOf(cause) !== 'ENOENT' || (await sizeOfFile(source)) === undefined) throw cause
      throw new DomainError(
        'unavailable',
        `The directory ${directory} of the object store is removed while it is written to; see what removes it, and try again.`,
        { resource: 'object' },
        { cause },
      )
    }
  }

  /**
   * What was there at the start is not made again: it may be on a disk that is not mounted now.
   * @throws DomainError `unavailable`
   */
  async #assertThere(): Promise<void> {
    for (const directory of [this.objects, this.#staging])
      try {
        await access(directory)
      } catch (cause) {
        if (errnoOf(cause) !== 'ENOENT') throw cause
        throw new DomainError(
          'unavailable',
          `The directory ${directory} of the object store is gone; see whether its disk is mounted, or make the directory again.`,
          { resource: 'object' },
          { cause },
        )
      }
  }

  /** Makes a directory and its parents, and syncs the names that lead to it. */
  async #makeDirectory(directory: string): Promise<void> {
    if (this.#durable.has(directory)) return
    const made = await makeDirectories(directory)
    // What is outside the root is not ours to open, unless it has just been made here.
    const top = made !== undefined && made.length <= this.#root.length ? made : this.#root
    for (let path = directory; path.length > top.length || path === made; path = dirname(path)) {
      await syncDirectory(dirname(path))
      this.#durable.add(path)
    }
  }
}
