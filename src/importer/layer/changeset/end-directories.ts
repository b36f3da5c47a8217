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
import { removeInherited } from './inherited-acls.ts'
import type { PendingXattrs } from './pending-xattrs.ts'
import type { TracedTree } from './traced-tree.ts'
import { defaultAcl, namespaceOf } from './xattr-rules.ts'

/** Names that one layer has removed from directories of the layers below: each costs a process. */
const maxRemovedNames = 256

/** What each directory of a layer has to get, once nothing changes in it any more. */
export interface Endings {
  readonly traced: TracedTree
  readonly xattrs: PendingXattrs
  /** Called for each directory, before it is touched. */
  readonly onDirectory: () => void
  readonly onClampedTime: (directory: Directory) => void
}

/** Owner, mode, time and extended attributes of all directories that the layer describes or has changed. */
export function endDirectories({ traced, xattrs, onDirectory, onClampedTime }: Endings): void {
  const { tree } = traced
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
  const { old, givers } = whatLowerHave(traced, described)
  removeInherited(traced, givers, onDirectory)
  removeOld(tree, old)
  xattrs.set(described.map(targetOf))
}

function targetOf(directory: Directory): XattrTarget {
  return { directory, name: itself, xattrs: directory.ending?.xattrs ?? [] }
}

interface LowerXattrs {
  /** By name, the directories that an entry describes and that have it from the layers below. */
  readonly old: ReadonlyMap<ByteString, ReadonlySet<Directory>>
  /** Directories that have handed down ACLs to what this layer has made in them. */
  readonly givers: readonly Directory[]
}

/** All questions about directories of the layers below, asked together: each run of the program is a process. */
function whatLowerHave({ tree, givers }: TracedTree, described: readonly Directory[]): LowerXattrs {
  const old = new Map<ByteString, Set<Directory>>()
  const giving: Directory[] = []
  const lower = [...described, ...givers].filter(({ isMade, isGone }) => !isMade && !isGone)
  for (const run of inRuns([...new Set(lower)]))
    for (const [directory, names] of xattrNamesOf(tree, new Set(run))) {
      if (givers.has(directory) && names.includes(defaultAcl)) giving.push(directory)
      if (directory.ending !== undefined)
        for (const name of names.filter(isManaged)) old.set(name, (old.get(name) ?? new Set()).add(directory))
    }
  return { old, givers: giving }
}

/** A directory that an entry describes has what the entry says, and nothing of the layers below. */
function removeOld(tree: RootTree, old: LowerXattrs['old']): void {
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
