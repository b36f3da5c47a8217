import { constants, type Dirent } from 'node:fs'
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { Readable } from 'node:stream'
import { DomainError, errnoOf } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { abortWith } from '../streams/abort-with.ts'
import { fromLegacyFile } from './directory-legacy-errors.ts'
import { legacyPaths } from './legacy-layout.ts'
import type {
  LegacyBody,
  LegacyEntry,
  LegacyFile,
  LegacyRefusal,
  LegacyStore,
  ListLegacyOptions,
  ReadLegacyOptions,
} from './legacy-store.ts'

/** Bytes read at a time. */
const chunkBytes = 256 * 1024

/**
 * The directory of a registry with distribution's filesystem driver. Nothing outside of it is ever read: symlinks are
 * not followed by the walk, and a path that leads out of the directory is refused.
 */
export class DirectoryLegacyStore implements LegacyStore {
  readonly name: string
  /** Without symlinks. */
  readonly #root: string

  private constructor(name: string, root: string) {
    this.name = name
    this.#root = root
  }

  /**
   * @param directory the `rootdirectory` of the old configuration, or the `docker/registry/v2` in it.
   * @throws DomainError `not_found` when there is no registry in it, `denied`.
   */
  static async open(directory: string, options?: Abortable): Promise<DirectoryLegacyStore> {
    options?.signal?.throwIfAborted()
    return await converted(directory, async () => {
      for (const below of [legacyPaths.root, '']) {
        const root = join(directory, below)
        if (await isDirectory(join(root, legacyPaths.repositories)))
          return new DirectoryLegacyStore(`filesystem:${directory}`, await realpath(root))
      }
      throw new DomainError(
        'not_found',
        `There is no registry in ${directory}: neither ${legacyPaths.root}${legacyPaths.repositories} nor ${legacyPaths.repositories} is in it; name the rootdirectory of its configuration.`,
        { resource: 'registry', name: directory },
      )
    })
  }

  async *list(directory: string, options: ListLegacyOptions = {}): AsyncGenerator<LegacyEntry> {
    yield* this.#walk(directory.replace(/\/$/, ''), options)
  }

  async read(path: string, { limit, signal }: ReadLegacyOptions): Promise<Uint8Array> {
    const { size, path: real } = await this.locate(path, { signal })
    if (size > limit)
      throw new DomainError('too_large', `The file ${path} has ${size} bytes; at most ${limit} are read.`, {
        resource: 'object',
        name: path,
      })
    const chunks = await Array.fromAsync(readFrom(real, path))
    return Buffer.concat(chunks)
  }

  async open(path: string, options?: Abortable): Promise<LegacyBody> {
    const { size, path: real } = await this.locate(path, options)
    const stream = Readable.from(readFrom(real, path), { objectMode: false })
    return { size, stream: abortWith(stream, options?.signal) }
  }

  /**
   * Where the file is on this machine, without a symlink on the way.
   * @throws DomainError `not_found`; `invalid` for what is no regular file, or outside of the directory; `denied`.
   */
  async locate(path: string, options?: Abortable): Promise<LocatedFile> {
    options?.signal?.throwIfAborted()
    return await converted(path, async () => {
      const real = await realpath(join(this.#root, path))
      if (!real.startsWith(this.#root + sep)) throw refused(path, 'leads out of the directory')
      const info = await lstat(real)
      if (!info.isFile()) throw refused(path, 'is no regular file')
      return { path: real, size: info.size }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async *#walk(directory: string, options: ListLegacyOptions): AsyncGenerator<LegacyEntry> {
    const { enters = () => true, signal } = options
    signal?.throwIfAborted()
    const entries = await this.#entriesOf(directory)
    if (!Array.isArray(entries)) return yield entries
    for (const entry of entries) {
      const path = `${directory}/${entry.name}`
      if (entry.isDirectory()) {
        if (enters(path)) yield* this.#walk(path, options)
      } else if (entry.isFile()) yield* this.#fileAt(path)
      else
        yield {
          kind: 'refusal',
          path,
          reason: `it is ${entry.isSymbolicLink() ? 'a symlink' : 'no regular file'}`,
        }
    }
  }

  /** Sorted as the paths below them are. */
  async #entriesOf(directory: string): Promise<Dirent[] | LegacyRefusal> {
    try {
      const entries = await readdir(join(this.#root, directory), { withFileTypes: true })
      const keyed = entries.map(entry => ({
        entry,
        key: entry.isDirectory() ? `${entry.name}/` : entry.name,
      }))
      return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ entry }) => entry)
    } catch (error) {
      // It may have been deleted while the walk went on.
      if (errnoOf(error) === 'ENOENT') return []
      return { kind: 'refusal', path: directory, reason: `it cannot be read (${errnoOf(error)})` }
    }
  }

  async *#fileAt(path: string): AsyncGenerator<LegacyFile> {
    try {
      const { size, mtime } = await lstat(join(this.#root, path))
      yield { kind: 'file', path, size, changedAt: mtime }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromLegacyFile(error, path)
    }
  }
}

export interface LocatedFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
}

/** Opens the file only when it is read, so that nothing is left open by whoever gives up before. */
async function* readFrom(real: string, path: string): AsyncGenerator<Buffer> {
  const file = await converted(path, () => open(real, constants.O_RDONLY | constants.O_NOFOLLOW))
  try {
    for (;;) {
      const { bytesRead, buffer } = await converted(path, () =>
        file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes),
      )
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
}

function refused(path: string, why: string): DomainError {
  return new DomainError('invalid', `The file ${path} ${why}, so it is not read.`, {
    resource: 'object',
    name: path,
  })
}

async function converted<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw fromLegacyFile(error, path)
  }
}
