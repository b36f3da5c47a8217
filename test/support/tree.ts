import { createHash } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs'
import { listXattrs } from './xattrs.ts'

/**
 * All that can be seen of a directory tree, root included. Paths are relative to the root, which is `.`; names are
 * bytes, one character (latin1) for each.
 */
export type Tree = ReadonlyMap<string, TreeEntry>

export interface TreeEntry {
  readonly type: 'file' | 'directory' | 'symlink' | 'block' | 'character' | 'fifo' | 'socket'
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of content; 0 for all that is no file. */
  readonly size: number
  /** Nanoseconds since 1970. */
  readonly mtime: bigint
  /** Where a symlink points, one character for each byte; else empty. */
  readonly target: string
  /** Hex of the content's digest; empty for all that is no file. */
  readonly sha256: string
  /** The raw device number of a block or character device; else 0. */
  readonly device: bigint
  /** Every path below the root with this inode, sorted, its own included. A directory has itself only. */
  readonly links: readonly string[]
  /** As {@link listXattrs} answers them; none unless they were asked for. */
  readonly xattrs: readonly string[]
}

export interface ListTreeOptions {
  /** Sees extended attributes too, which takes the program getfattr: Node has no call for them. */
  readonly xattrs?: boolean | undefined
}

/** Reads a whole tree, depth first, entries of a directory in byte order. Needs the rights to read all of it. */
export function listTree(root: string, { xattrs = false }: ListTreeOptions = {}): Tree {
  const attributes = xattrs ? listXattrs(root) : undefined
  const tree = new Map<string, TreeEntry>()
  const linkGroups = new Map<bigint, string[]>()
  const visit = (path: string): void => {
    const absolute = absoluteOf(root, path)
    const stats = lstatSync(absolute, { bigint: true })
    tree.set(path, entryOf(absolute, path, stats, linkGroups, attributes?.get(path)))
    if (!stats.isDirectory()) return
    const names = readdirSync(absolute, { encoding: 'buffer' }).map(name => name.toString('latin1'))
    for (const name of names.sort()) visit(path === '.' ? name : `${path}/${name}`)
  }
  visit('.')
  for (const links of linkGroups.values()) links.sort()
  return tree
}

function entryOf(
  absolute: Buffer,
  path: string,
  stats: BigIntStats,
  linkGroups: Map<bigint, string[]>,
  xattrs: readonly string[] = [],
): TreeEntry {
  const isFile = stats.isFile()
  return {
    type: typeOf(stats),
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: isFile ? Number(stats.size) : 0,
    mtime: stats.mtimeNs,
    target: stats.isSymbolicLink() ? readlinkSync(absolute, { encoding: 'buffer' }).toString('latin1') : '',
    sha256: isFile ? hashFile(absolute) : '',
    device: stats.isBlockDevice() || stats.isCharacterDevice() ? stats.rdev : 0n,
    links: stats.isDirectory() ? [path] : joinGroup(linkGroups, stats.ino, path),
    xattrs,
  }
}

function joinGroup(groups: Map<bigint, string[]>, inode: bigint, path: string): readonly string[] {
  const group = groups.get(inode) ?? []
  group.push(path)
  groups.set(inode, group)
  return group
}

function typeOf(stats: BigIntStats): TreeEntry['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isBlockDevice()) return 'block'
  if (stats.isCharacterDevice()) return 'character'
  return stats.isFIFO() ? 'fifo' : 'socket'
}

function absoluteOf(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
}

const chunk = Buffer.allocUnsafe(1024 * 1024)

function hashFile(absolute: Buffer): string {
  const hash = createHash('sha256')
  const file = openSync(absolute, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    for (;;) {
      const length = readSync(file, chunk)
      if (length === 0) return hash.digest('hex')
      hash.update(chunk.subarray(0, length))
    }
  } finally {
    closeSync(file)
  }
}
