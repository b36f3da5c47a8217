import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import { asByteString, type ByteString, bytesOf, encodeText } from '../byte-string.ts'
import { errnoOf } from '../../../errors.ts'
import { joinPath } from '../entry-path.ts'
import type { Directory } from './directory.ts'

/** Enough for the directories that entries alternate between, and far below what a process may open. */
const defaultMaxOpen = 128

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants

export interface DescriptorsOptions {
  /**
   * Directories that are held open at once, the root not counted. At least 3: the two of a link, and the one that the
   * second of them is opened through.
   */
  readonly maxOpen?: number | undefined
  /** False gives plain paths, as on a system without `/proc/self/fd`. */
  readonly throughDescriptors?: boolean | undefined
}

/**
 * Open directories. A path that begins at one cannot be led elsewhere by somebody who swaps a directory for a symlink:
 * each directory is opened through the one above it and never through a symlink, and `/proc/self/fd` names what is open.
 *
 * Where the system has no such names, paths begin at the root; then nothing else may write into the tree.
 */
export class Descriptors implements Disposable {
  readonly #rootPath: ByteString
  readonly #rootFile: number
  readonly #rootPrefix: ByteString
  readonly #isThrough: boolean
  readonly #open: LRUCache<Directory, OpenDirectory>

  /** @param root as the caller wrote it; symlinks on the way to it are the host's own. */
  constructor(
    root: string,
    { maxOpen = defaultMaxOpen, throughDescriptors = true }: DescriptorsOptions = {},
  ) {
    this.#rootPath = encodeText(root)
    this.#rootFile = openSync(root, O_RDONLY | O_DIRECTORY)
    this.#isThrough = throughDescriptors && namesDescriptors(this.#rootFile)
    this.#rootPrefix = this.#isThrough ? prefixOf(this.#rootFile) : asByteString(`${this.#rootPath}/`)
    this.#open = new LRUCache({ max: maxOpen, dispose: ({ file }) => closeSync(file) })
  }

  /** The path of a name in a directory, for a system call made at once. An empty name is the directory itself. */
  at(directory: Directory, name: ByteString): string | Buffer {
    return toSystem(asByteString(this.#prefix(directory) + name))
  }

  /** A descriptor of the directory, for a system call made at once. */
  fileOf(directory: Directory): number {
    return directory.parent === undefined ? this.#rootFile : this.#opened(directory).file
  }

  /** A descriptor of its own, which the caller closes. */
  openAnew(directory: Directory): number {
    return openSync(this.at(directory, self), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  }

  /**
   * What a child process calls the directory that it got {@link openAnew}'s descriptor of as its `number`. It ends in a
   * slash.
   */
  prefixInChild(directory: Directory, number: number): ByteString {
    return this.#isThrough ? prefixOf(number) : this.#prefix(directory)
  }

  /** Before a directory is removed, and when it will not be needed soon. */
  close(directory: Directory): void {
    this.#open.delete(directory)
  }

  [Symbol.dispose](): void {
    this.#open.clear()
    closeSync(this.#rootFile)
  }

  #prefix(directory: Directory): ByteString {
    if (directory.parent === undefined) return this.#rootPrefix
    if (this.#isThrough) return this.#opened(directory).prefix
    return asByteString(`${this.#rootPath}/${joinPath(directory.path)}/`)
  }

  #opened(directory: Directory): OpenDirectory {
    return this.#open.get(directory) ?? this.#reopen(directory)
  }

  /** From the nearest one above that is open, downwards. Those between are not held. */
  #reopen(directory: Directory): OpenDirectory {
    const closed: Directory[] = []
    let above: Directory | undefined = directory
    let from: OpenDirectory | undefined
    while (above?.parent !== undefined && from === undefined) {
      closed.push(above)
      above = above.parent
      from = above.parent === undefined ? undefined : this.#open.get(above)
    }
    let prefix = from?.prefix ?? this.#rootPrefix
    let file: number | undefined
    for (let next = closed.pop(); next !== undefined; next = closed.pop()) {
      const above = file
      try {
        file = openSync(toSystem(asByteString(prefix + next.name)), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      } finally {
        if (above !== undefined) closeSync(above)
      }
      prefix = this.#isThrough ? prefixOf(file) : asByteString(`${prefix}${next.name}/`)
    }
    if (file === undefined) throw new Error('the root is always open')
    const opened = { file, prefix }
    this.#open.set(directory, opened)
    return opened
  }
}

interface OpenDirectory {
  readonly file: number
  /** What a name in the directory is put behind: ends in a slash. */
  readonly prefix: ByteString
}

/** The directory itself, as the last component of a path. */
const self = asByteString('.')

function prefixOf(file: number): ByteString {
  return asByteString(`/proc/self/fd/${file}/`)
}

/** Tried, not concluded from the name of the system: `/proc` may be missing or be another one's. */
function namesDescriptors(file: number): boolean {
  try {
    const [named, opened] = [statSync(prefixOf(file), { bigint: true }), fstatSync(file, { bigint: true })]
    return named.dev === opened.dev && named.ino === opened.ino
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return false
  }
}

const beyondAscii = /[\u0080-\u00ff]/

/** A text is quicker than its bytes, and the same where it is ASCII. */
function toSystem(path: ByteString): string | Buffer {
  return beyondAscii.test(path) ? bytesOf(path) : path
}
