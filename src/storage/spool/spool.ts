import { readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { DomainError, errnoOf } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { type Allowance, SpoolBudget, type SpoolLimits } from './spool-budget.ts'
import { SpoolFile } from './spool-file.ts'

export interface SpoolOptions extends SpoolLimits {
  /** Exists, and is nobody else's but of processes that have a spool there, too. Everything in it is removed. */
  readonly directory: string
  /** Bytes that are free there; those of its file system unless given. */
  readonly freeBytes?: (() => Promise<number>) | undefined
}

/** Of what is free, the spool takes a quarter at most: what it holds is unpacked, or stored, on the same disk. */
const shareOfFree = 0.25

/** Room on disk for blobs that are on their way: of layers whose turn has not come, of images that somebody waits for. */
export class Spool implements AsyncDisposable {
  readonly #directory: string
  readonly #budget: SpoolBudget
  readonly #freeBytes: () => Promise<number>
  readonly #files = new Set<SpoolFile>()

  private constructor({ directory, freeBytes, ...limits }: SpoolOptions) {
    this.#directory = directory
    this.#budget = new SpoolBudget(limits)
    this.#freeBytes = freeBytes ?? (() => freeBytesAt(directory))
  }

  /** Empties the directory first. */
  static async open(options: SpoolOptions): Promise<Spool> {
    await empty(options.directory)
    return new Spool(options)
  }

  /**
   * Room for a blob of `bytes`, as soon as there is some. `undefined` when the blob is too large for the spool, or the
   * disk too full: then it has to go without.
   */
  async reserve(bytes: number, options: Abortable = {}): Promise<SpoolPlace | undefined> {
    const allowance = await this.#budget.acquire(bytes, options)
    if (allowance === undefined) return undefined
    const file = await this.#create(bytes, allowance)
    if (file === undefined) allowance[Symbol.dispose]()
    return file && { file, downloaded: () => allowance.downloaded() }
  }

  async #create(bytes: number, allowance: Allowance): Promise<SpoolFile | undefined> {
    try {
      if (this.#budget.bytes > (await this.#freeBytes()) * shareOfFree) return undefined
      const file = await SpoolFile.create(this.#directory, bytes, () => {
        this.#files.delete(file)
        allowance[Symbol.dispose]()
      })
      this.#files.add(file)
      return file
    } catch {
      // A spool that cannot be written is no spool, and everybody can do without one.
      return undefined
    }
  }

  /** Whatever is still in it is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#files].map(file => file.break()))
  }
}

export interface SpoolPlace {
  readonly file: SpoolFile
  /** Lets the next download begin; the file keeps its room until it is broken or disposed. */
  readonly downloaded: () => void
}

/**
 * Files have a name for a moment only; this is what a crash in that moment has left. A file that another process is at
 * stays open to it.
 */
async function empty(directory: string): Promise<void> {
  try {
    for (const name of await readdir(directory))
      await rm(join(directory, name), { force: true, recursive: true })
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === undefined) throw error
    throw new DomainError(
      'unavailable',
      `The spool directory ${directory} cannot be used (${errno}); look whether it is there and who may write to it.`,
      { resource: 'object', name: directory },
      { cause: error },
    )
  }
}

async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}
