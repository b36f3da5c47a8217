import type { ByteString } from '../byte-string.ts'
import type { Directory } from '../tree/directory.ts'
import type { RootTree } from '../tree/root-tree.ts'
import {
  directoriesPerRun,
  itself,
  removeXattr,
  type XattrTarget,
  xattrNamesOf,
} from '../tree/xattr-programs.ts'
import { layerTooLarge } from '../layer-errors.ts'
import type { PendingXattrs } from './pending-xattrs.ts'
import { namespaceOf } from './xattr-rules.ts'

/** Names that one layer has removed from directories of the layers below: each costs a process. */
const maxRemovedNames = 256

/** What each directory of a layer has to get, once nothing changes in it any more. */
export interface Endings {
  readonly tree: RootTree
  readonly xattrs: PendingXattrs
  /** Called for each directory, before it is touched. */
  readonly onDirectory: () => void
  readonly onClampedTime: (directory: Directory) => void
}

/** Owner, mode, time and extended attributes of all directories that the layer describes or has changed. */
export function endDirectories({ tree, xattrs, onDirectory, onClampedTime }: Endings): void {
  const described: Directory[] = []
  // Deepest first, so that no directory is closed to us before those in it are done.
  const end = (directory: Directory): void => {
    for (const child of directory.children?.values() ?? []) end(child)
    onDirectory()
    const { ending, mtime } = directory
    if (ending !== undefined) {
      tree.describe(directory, ending.mode, ending.uid, ending.gid)
      if (!directory.isMade || ending.xattrs.length > 0) described.push(directory)
    }
    const isClamped = mtime !== undefined && tree.setTime(directory, mtime)
    if (isClamped || ending?.clampedTime === true) onClampedTime(directory)
    tree.descriptors.close(directory)
  }
  end(tree.root)
  // After chmod, which would change an ACL. They change no time.
  removeOld(
    tree,
    described.filter(directory => !directory.isMade),
  )
  xattrs.set(described.map(targetOf))
}

function targetOf(directory: Directory): XattrTarget {
  return { directory, name: itself, xattrs: directory.ending?.xattrs ?? [] }
}

/** A directory that an entry describes has what the entry says, and nothing of the layers below. */
function removeOld(tree: RootTree, directories: readonly Directory[]): void {
  const old = new Map<ByteString, Set<Directory>>()
  for (const run of inRuns(directories))
    for (const [directory, names] of xattrNamesOf(tree, new Set(run)))
      for (const name of names.filter(isManaged)) old.set(name, (old.get(name) ?? new Set()).add(directory))
  if (old.size > maxRemovedNames)
    throw layerTooLarge(
      `it removes extended attributes of ${old.size} names from directories; at most ${maxRemovedNames} are removed`,
    )
  for (const [name, having] of old)
    for (const run of inRuns([...having])) removeXattr(tree, name, new Set(run))
}

/** What no layer may set, the host has set. */
function isManaged(name: ByteString): boolean {
  return namespaceOf(name) !== undefined
}

function* inRuns(directories: readonly Directory[]): Generator<readonly Directory[]> {
  for (let start = 0; start < directories.length; start += directoriesPerRun)
    yield directories.slice(start, start + directoriesPerRun)
}
