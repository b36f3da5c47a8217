import {
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
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
  statfsSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { asByteString, type ByteString, byteStringOf, bytesOf } from '../byte-string.ts'
import type { Attributes } from '../entry.ts'
import { Descriptors, type DescriptorsOptions } from './descriptors.ts'
import { Directory } from './directory.ts'
import { setTime } from './file-times.ts'
import { NewFile } from './new-file.ts'
import type { Found } from './resolve.ts'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants
const self = asByteString('')
/** With less than this free, a file system may refuse what is small as well. */
const fullBytes = 1024 * 1024

/**
 * The file system calls below one root directory, each on a name in a directory that is known to be there. Names are
 * never followed when they are symlinks, and what is made must not be there yet (EEXIST).
 *
 * Synchronous on purpose: one entry costs four calls, and each would cost ten times as much as a promise.
 */
export class RootTree implements Disposable {
  readonly root: Directory = Directory.root()
  readonly descriptors: Descriptors

  constructor(root: string, options: DescriptorsOptions = {}) {
    this.descriptors = new Descriptors(root, options)
  }

  [Symbol.dispose](): void {
    this.descriptors[Symbol.dispose]()
  }

  look(directory: Directory, name: ByteString): Found<Directory> {
    const known = directory.children?.get(name)
    if (known !== undefined) return { kind: 'directory', directory: known }
    const at = this.descriptors.at(directory, name)
    const stats = lstatSync(at, { throwIfNoEntry: false })
    if (stats === undefined) return { kind: 'missing' }
    if (stats.isDirectory()) return { kind: 'directory', directory: directory.child(name) }
    if (stats.isSymbolicLink())
      return { kind: 'symlink', target: byteStringOf(readlinkSync(at, { encoding: 'buffer' })) }
    return { kind: 'other', links: stats.nlink }
  }

  list(directory: Directory): Listed[] {
    const at = this.descriptors.at(directory, self)
    return readdirSync(at, { encoding: 'buffer', withFileTypes: true }).map(entry => ({
      name: byteStringOf(entry.name),
      isDirectory: entry.isDirectory(),
    }))
  }

  /** Seconds since 1970, such that {@link setTime} with it changes nothing that we have set. */
  mtimeOf(directory: Directory): number {
    const { mtimeNs } = fstatSync(this.descriptors.fileOf(directory), { bigint: true })
    const second = 1_000_000_000n
    return Number(mtimeNs / second) + Number(mtimeNs % second) / 1e9
  }

  /** An empty file for writing, which the caller ends. */
  createFile(directory: Directory, name: ByteString, mode: number): NewFile {
    const { creation } = directory
    // The first file in a directory is made with all bits, so as to see which of them the system lets it have.
    const asked = creation === undefined ? 0o777 : mode & 0o777
    const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY
    const descriptor = openSync(this.descriptors.at(directory, name), flags, asked)
    if (creation !== undefined) {
      const { allowedMode, uid, gid } = creation
      return new NewFile({ descriptor, mode: asked & allowedMode, uid, gid })
    }
    const { mode: given, uid, gid } = fstatSync(descriptor)
    const allowedMode = given & 0o777
    directory.creation = { allowedMode, uid, gid }
    return new NewFile({ descriptor, mode: allowedMode, uid, gid })
  }

  /** For root only; {@link describe} gives it what it is to have in the end. */
  makeDirectory(parent: Directory, name: ByteString): Directory {
    mkdirSync(this.descriptors.at(parent, name), 0o700)
    return parent.madeChild(name)
  }

  /** @returns whether it has another time than it should. */
  makeSymlink(directory: Directory, name: ByteString, target: ByteString, attributes: Attributes): boolean {
    const at = this.descriptors.at(directory, name)
    const { uid, gid, mtime } = attributes
    symlinkSync(bytesOf(target), at)
    const { creation } = directory
    if (creation?.uid !== uid || creation.gid !== gid) lchownSync(at, uid, gid)
    return setTime(mtime, time => lutimesSync(at, time, time))
  }

  makeHardlink(directory: Directory, name: ByteString, target: Place): void {
    const from = this.descriptors.at(target.directory, target.name)
    linkSync(from, this.descriptors.at(directory, name))
  }

  /** Owner and mode of a directory. */
  describe(directory: Directory, mode: number, uid: number, gid: number): void {
    const file = this.descriptors.fileOf(directory)
    const { creation, isMade } = directory
    if (!isMade || creation?.uid !== uid || creation.gid !== gid) fchownSync(file, uid, gid)
    // After the owner: chown clears setuid and setgid.
    fchmodSync(file, mode)
  }

  /** @returns whether it has another time than it should. */
  setTime(directory: Directory, mtime: number): boolean {
    const file = this.descriptors.fileOf(directory)
    return setTime(mtime, time => futimesSync(file, time, time))
  }

  /** Removes whatever is there, with all that is in it. */
  remove(directory: Directory, name: ByteString): void {
    const at = this.descriptors.at(directory, name)
    if (directory.children?.has(name) === true || lstatSync(at).isDirectory())
      this.removeDirectory(directory.child(name))
    else unlinkSync(at)
  }

  /** With all that is in it. */
  removeDirectory(directory: Directory): void {
    const { parent, name } = directory
    if (parent === undefined) throw new Error('the root of a tree is never removed')
    for (const entry of this.list(directory))
      if (entry.isDirectory) this.removeDirectory(directory.child(entry.name))
      else unlinkSync(this.descriptors.at(directory, entry.name))
    this.descriptors.close(directory)
    directory.isGone = true
    parent.children?.delete(name)
    rmdirSync(this.descriptors.at(parent, name))
  }

  /** Removes what is known to be no directory. */
  unlink(directory: Directory, name: ByteString): void {
    unlinkSync(this.descriptors.at(directory, name))
  }

  /** Whether ENOSPC would mean that something is too large, and not that the file system is full. */
  hasSpace(): boolean {
    const { bavail, bsize, files, ffree } = statfsSync(this.descriptors.at(this.root, self))
    return bavail * bsize >= fullBytes && (files === 0 || ffree > 0)
  }
}

/** A name in a real directory. */
export interface Place {
  readonly directory: Directory
  readonly name: ByteString
}

export interface Listed {
  readonly name: ByteString
  readonly isDirectory: boolean
}
