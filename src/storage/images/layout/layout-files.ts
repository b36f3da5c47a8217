import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DomainError } from '../../../errors.ts'
import { algorithmOf, type Digest, hexOf } from '../../digest.ts'
import { syncDirectory, writeFully } from '../../objects/durable-files.ts'
import { ifThere } from '../if-there.ts'
import { converting } from './layout-errors.ts'

/** What only Varve knows: the writer's lock, and files that are not whole yet. */
const privateName = '.varve'

export interface OpenedFile {
  readonly file: FileHandle
  /** Bytes. */
  readonly size: number
}

/**
 * The files of a layout. Whoever made the directory may be a stranger, so a symlink in it is refused wherever it stands,
 * and so is what is no regular file.
 */
export class LayoutFiles {
  /** Absolute, without symlinks. */
  readonly root: string
  readonly label: string

  private constructor(root: string) {
    this.root = root
    this.label = `oci:${root}`
  }

  /** @throws DomainError `not_found` for a directory that is not there. */
  static async at(directory: string): Promise<LayoutFiles> {
    return await converting(`the directory ${directory}`, async () => {
      const root = await realpath(directory)
      if ((await lstat(root)).isDirectory()) return new LayoutFiles(root)
      throw new DomainError('not_found', `${directory} is no directory.`, {
        resource: 'image',
        name: directory,
      })
    })
  }

  get index(): string {
    return join(this.root, 'index.json')
  }

  get marker(): string {
    return join(this.root, 'oci-layout')
  }

  get lock(): string {
    return join(this.root, privateName, 'lock')
  }

  blob(digest: Digest): string {
    return join(this.root, 'blobs', algorithmOf(digest), hexOf(digest))
  }

  /** What has come of a blob that is not whole yet. */
  partial(digest: Digest): string {
    return join(this.root, privateName, 'partial', `${algorithmOf(digest)}-${hexOf(digest)}`)
  }

  /** @throws DomainError `not_found`; `invalid` for a symlink on the way, and what is no regular file; `denied`. */
  async open(path: string): Promise<OpenedFile> {
    const what = this.#nameOf(path)
    return await converting(what, async () => {
      await this.#refuseSymlinks(dirname(path))
      // Not waiting: to open a FIFO would, for ever.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const file = await open(path, flags)
      try {
        const info = await file.stat()
        if (info.isFile()) return { file, size: info.size }
        throw new DomainError('invalid', `In ${this.label}, ${basename(path)} is no regular file.`, {
          resource: 'image',
          name: what,
        })
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  /** @throws as {@link open}; `too_large`. */
  async read(path: string, limit: number): Promise<Buffer> {
    const { file, size } = await this.open(path)
    try {
      if (size > limit)
        throw new DomainError(
          'too_large',
          `In ${this.label}, ${basename(path)} has ${size} bytes; at most ${limit} are read.`,
          { resource: 'image', name: path },
        )
      return await converting(this.#nameOf(path), () => readUpTo(file, size))
    } finally {
      await file.close()
    }
  }

  /** Writes all of a file in one step, which survives a crash. */
  async replace(path: string, bytes: Uint8Array): Promise<void> {
    const fresh = join(this.root, privateName, 'new', randomBytes(12).toString('hex'))
    await converting(this.#nameOf(path), async () => {
      await this.makeDirectory(dirname(fresh))
      await this.makeDirectory(dirname(path))
      const file = await open(fresh, 'wx', 0o644)
      try {
        await writeFully(file, bytes, 0)
        await file.sync()
        await file.close()
        await this.publish(fresh, path)
      } catch (error) {
        await file.close()
        await rm(fresh, { force: true })
        throw error
      }
    })
  }

  /** Gives a file, whose bytes are synced, its place. */
  async publish(from: string, path: string): Promise<void> {
    await this.makeDirectory(dirname(path))
    await rename(from, path)
    await syncDirectory(dirname(path))
  }

  /** A directory below the root, and those above it. */
  async makeDirectory(directory: string): Promise<void> {
    if (directory !== this.root) {
      await this.makeDirectory(dirname(directory))
      try {
        await mkdir(directory)
        await syncDirectory(dirname(directory))
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      }
    }
    await this.#refuseSymlinks(directory)
  }

  /** The directory of the lock, which must be there first. */
  async makePrivate(): Promise<void> {
    await this.makeDirectory(dirname(this.lock))
    // The database that the lock is would follow a symlink.
    const opened = await ifThere(this.open(this.lock))
    await opened?.file.close()
  }

  /** What a writer that died has left of files that it was making. Only for whoever has the lock. */
  async dropUnfinished(): Promise<void> {
    await rm(join(this.root, privateName, 'new'), { recursive: true, force: true })
  }

  async #refuseSymlinks(directory: string): Promise<void> {
    if ((await realpath(directory)) === directory) return
    throw new DomainError(
      'invalid',
      `In ${this.label}, ${directory.slice(this.root.length + 1)} is a symlink, so it is not followed.`,
      { resource: 'image', name: directory },
    )
  }

  #nameOf(path: string): string {
    return `in ${this.label}, ${path.slice(this.root.length + 1)}`
  }
}

async function readUpTo(file: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
