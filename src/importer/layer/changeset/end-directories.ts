import type { DirectoryXattrs } from '../apply-layer.ts'
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
  /** Of the tree before this layer. */
  readonly lowerDirectoryXattrs: DirectoryXattrs | undefined
  /** Called for each directory, before it is touched. */
  readonly onDirectory: () => void
  readonly onClampedTime: (directory: Directory) => void
}

/**
 * Owner, mode, time and extended attributes of all directories that the layer describes or has changed.
 * @returns what is known of the tree with this layer.
 */
export function endDirectories(endings: Endings): DirectoryXattrs | undefined {
  const { traced, xattrs, onDirectory, onClampedTime } = endings
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
  const before = endings.lowerDirectoryXattrs ?? undoLower(traced, described, onDirectory)
  const targets = described.map(targetOf)
  xattrs.set(targets)
  // Some of them may not have been set. That is rare, and to say less than is known costs only time.
  return targets.some(target => target.xattrs.length > 0) ? undefined : before
}

function targetOf(directory: Directory): XattrTarget {
  return { directory, name: itself, xattrs: directory.ending?.xattrs ?? [] }
}

/**
 * Takes away what the directories of the layers below have handed down, and what they have and entries do not say. When it
 * is known that none has anything, there is nothing to ask and nothing to do: each question is a process.
 * @returns what was known of the tree before this layer.
 */
function undoLower(
  traced: TracedTree,
  described: readonly Directory[],
  onStep: () => void,
): DirectoryXattrs | undefined {
  const { old, givers, wasPlain } = whatLowerHave(traced, described)
  removeInherited(traced, givers, onStep)
  removeOld(traced.tree, old)
  return wasPlain ? 'none' : undefined
}

interface LowerXattrs {
  /** By name, the directories that an entry describes and that have it from the layers below. */
  readonly old: ReadonlyMap<ByteString, ReadonlySet<Directory>>
  /** Directories that have handed down ACLs to what this layer has made in them. */
  readonly givers: readonly Directory[]
  /** There was only the root, which has been asked for and has nothing. */
  readonly wasPlain: boolean
}

/** All questions about directories of the layers below, asked together: each run of the program is a process. */
function whatLowerHave({ tree, givers, wasEmpty }: TracedTree, described: readonly Directory[]): LowerXattrs {
  const old = new Map<ByteString, Set<Directory>>()
  const giving: Directory[] = []
  let wasPlain = wasEmpty
  const root = wasEmpty ? [tree.root] : []
  const lower = [...root, ...described, ...givers].filter(({ isMade, isGone }) => !isMade && !isGone)
  for (const run of inRuns([...new Set(lower)])) {
    const found = xattrNamesOf(tree, new Set(run))
    wasPlain &&= found !== undefined && found.get(tree.root)?.some(isManaged) !== true
    for (const [directory, names] of found ?? []) {
      if (givers.has(directory) && names.includes(defaultAcl)) giving.push(directory)
      if (directory.ending !== undefined)
        for (const name of names.filter(isManaged)) old.set(name, (old.get(name) ?? new Set()).add(directory))
    }
  }
  return { old, givers: giving, wasPlain }
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
