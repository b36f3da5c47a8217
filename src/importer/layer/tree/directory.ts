import { asByteString, type ByteString } from '../byte-string.ts'
import type { LayerPath, Xattr } from '../entry.ts'

/**
 * A directory that is known to be there, by its real path: no symlink leads to it. It also says what one layer has done
 * to it so far, so that one look-up answers all that an entry asks.
 *
 * Whiteouts hide the layers below, never their own layer, and may come before or after what they spare. So what this
 * layer has made is remembered, but only where lower content is near: in a clean directory only directories are.
 */
export class Directory {
  /** Undefined for the root. */
  readonly parent: Directory | undefined
  readonly name: ByteString
  /** Components of its path. */
  readonly depth: number
  /** Bytes of its path, with a slash between components. */
  readonly pathBytes: number
  /** Those of its directories that are known. */
  children: Map<ByteString, Directory> | undefined

  /** This layer has made it. */
  readonly isMade: boolean
  /** The layers below have nothing under it (any more). */
  isClean = false
  /** It is there no more; what still refers to it must not act on it. */
  isGone = false
  /** Set when this layer has something in it or below. A whiteout hides what is not kept. */
  kept: Kept | undefined
  /** In a directory that is not clean: what this layer has made in it besides directories. */
  ownNames: Set<ByteString> | undefined
  /** Of what this layer has made in it, names whose ACL is not inherited: it is of the layers below, or of the entry. */
  spared: Set<ByteString> | undefined
  /** Nodes that this layer has in it and we have not: a hard link to one is left out as well. */
  absent: Map<ByteString, AbsentNode> | undefined
  /** What it gets at the end, when nothing changes in it any more. */
  ending: DirectoryEnding | undefined
  /** The time that it gets at the end, in seconds; that of `ending`, or the one that the layers below gave it. */
  mtime: number | undefined
  /** What a directory that this layer makes inherits is what the last one above that it has not made hands down. */
  readonly #heirOf: Directory
  #creation: Creation | undefined

  private constructor(parent: Directory | undefined, name: ByteString, isMade: boolean) {
    this.parent = parent
    this.name = name
    this.isMade = isMade
    this.#heirOf = isMade && parent !== undefined ? parent.#heirOf : this
    this.depth = parent === undefined ? 0 : parent.depth + 1
    this.pathBytes = parent === undefined ? 0 : parent.pathBytes + (parent.depth > 0 ? 1 : 0) + name.length
  }

  static root(): Directory {
    return new Directory(undefined, asByteString(''), false)
  }

  /** The directory of that name, known from now on. */
  child(name: ByteString): Directory {
    return this.children?.get(name) ?? this.#add(name, false)
  }

  /** After this layer has made it. */
  madeChild(name: ByteString): Directory {
    return this.#add(name, true)
  }

  /** What the system makes of a new file in it; undefined as long as nobody has seen it. */
  get creation(): Creation | undefined {
    return this.#heirOf.#creation
  }

  set creation(creation: Creation | undefined) {
    this.#heirOf.#creation = creation
  }

  get path(): LayerPath {
    return this.parent === undefined ? [] : [...this.parent.path, this.name]
  }

  #add(name: ByteString, isMade: boolean): Directory {
    const child = new Directory(this, name, isMade)
    this.children ??= new Map()
    this.children.set(name, child)
    return child
  }
}

/** By an entry of its own, or only as the directory of something that is kept. */
export type Kept = 'entry' | 'implied'

export type AbsentNode = 'device' | 'fifo'

/** Owner and mode of a directory that this layer describes. */
export interface DirectoryEnding {
  /** 0 to 0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly xattrs: readonly Xattr[]
  /** The layer says another time than `mtime` is. */
  readonly clampedTime: true | undefined
}

/**
 * What the system makes of a new file: the permission bits that it lets a new file have (umask, default ACL), and
 * the owner (whose group setgid directories decide). A directory that is made inherits all of it.
 */
export interface Creation {
  readonly allowedMode: number
  readonly uid: number
  readonly gid: number
}
