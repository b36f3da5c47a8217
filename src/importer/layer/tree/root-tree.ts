import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { asByteString, type ByteString, byteStringOf, bytesOf, encodeText } from '../byte-string.ts'
import type { Attributes, LayerPath } from '../entry.ts'
import { joinPath } from '../entry-path.ts'
import { setTime } from './file-times.ts'
import type { Found } from './resolve.ts'

/**
 * The file system calls below one root directory. Paths must be real (no symlink on the way), which is the
 * caller's business; the last component is never followed.
 *
 * Synchronous on purpose: one entry costs five calls, and each would cost ten times as much as a promise.
 */
export class RootTree {
  readonly #root: string

  constructor(root: string) {
    this.#root = encodeText(root)
  }

  inspect(path: LayerPath): Found {
    const stats = lstatSync(this.#at(path), { throwIfNoEntry: false })
    if (stats === undefined) return { kind: 'missing' }
    if (stats.isDirectory()) return { kind: 'directory' }
    return stats.isSymbolicLink() ? { kind: 'symlink', target: this.#readLink(path) } : { kind: 'other' }
  }

  /** Seconds since 1970. Setting it again changes nothing, to the nanosecond. */
  mtimeOf(path: LayerPath): number {
    const { mtimeNs } = lstatSync(this.#at(path), { bigint: true })
    const second = 1_000_000_000n
    return Number(mtimeNs / second) + Number(mtimeNs % second) / 1e9
  }

  list(directory: LayerPath): ByteString[] {
    return readdirSync(this.#at(directory), { encoding: 'buffer' }).map(byteStringOf)
  }

  /** An empty file for root only, for writing; it must not exist. The caller closes the descriptor. */
  createFile(path: LayerPath): number {
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
    return openSync(this.#at(path), O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600)
  }

  makeDirectory(path: LayerPath): void {
    mkdirSync(this.#at(path), 0o700)
  }

  makeSymlink(path: LayerPath, target: ByteString, { uid, gid, mtime }: Attributes): void {
    const at = this.#at(path)
    symlinkSync(bytesOf(target), at)
    lchownSync(at, uid, gid)
    setTime(mtime, time => lutimesSync(at, time, time))
  }

  makeHardlink(path: LayerPath, target: LayerPath): void {
    linkSync(this.#at(target), this.#at(path))
  }

  /** Owner and mode of a directory that is there; its time is set by {@link setTime}, after its content. */
  setDirectoryOwner(path: LayerPath, { mode, uid, gid }: Omit<Attributes, 'mtime'>): void {
    const at = this.#at(path)
    lchownSync(at, uid, gid)
    // After the owner: chown clears setuid and setgid.
    chmodSync(at, mode)
  }

  setTime(path: LayerPath, mtime: number): void {
    const at = this.#at(path)
    setTime(mtime, time => lutimesSync(at, time, time))
  }

  /** Removes whatever is there, with all that is in it; never follows a symlink. */
  remove(path: LayerPath): void {
    if (path.length === 0) throw new Error('the root of a tree is never removed')
    this.#remove(asByteString(`${this.#root}/${joinPath(path)}`))
  }

  #remove(at: ByteString): void {
    const bytes = bytesOf(at)
    if (!lstatSync(bytes).isDirectory()) {
      unlinkSync(bytes)
      return
    }
    for (const name of readdirSync(bytes, { encoding: 'buffer' }))
      this.#remove(asByteString(`${at}/${byteStringOf(name)}`))
    rmdirSync(bytes)
  }

  #readLink(path: LayerPath): ByteString {
    return byteStringOf(readlinkSync(this.#at(path), { encoding: 'buffer' }))
  }

  #at(path: LayerPath): Buffer {
    return bytesOf(asByteString(path.length === 0 ? this.#root : `${this.#root}/${joinPath(path)}`))
  }
}

/** Appends all of `bytes`: write(2) may take less. */
export function writeFully(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(descriptor, bytes, offset)
}

/** Owner, then mode (chown clears setuid), then time: the content must be written before. */
export function setFileAttributes(descriptor: number, { mode, uid, gid, mtime }: Attributes): void {
  fchownSync(descriptor, uid, gid)
  fchmodSync(descriptor, mode)
  setTime(mtime, time => futimesSync(descriptor, time, time))
}

export { closeSync as closeFile }
