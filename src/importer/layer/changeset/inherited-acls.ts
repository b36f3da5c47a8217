import type { ByteString } from '../byte-string.ts'
import type { Xattr } from '../entry.ts'
import type { Directory } from '../tree/directory.ts'
import type { RootTree } from '../tree/root-tree.ts'
import { asSystemError } from '../tree/system-reasons.ts'
import { itself, setXattrs, type XattrTarget } from '../tree/xattr-programs.ts'
import { inRuns } from './pending-xattrs.ts'
import type { TracedTree } from './traced-tree.ts'
import { accessAcl, defaultAcl, noAcl } from './xattr-rules.ts'

const noAccess: readonly Xattr[] = [{ name: accessAcl, value: noAcl }]
const noAcls: readonly Xattr[] = [...noAccess, { name: defaultAcl, value: noAcl }]

/**
 * Removes the ACLs that the system has given to what this layer has made, because a directory of the layers below has
 * a default ACL: the layer says none. To remove one that was not inherited, where none was meant, changes nothing. Modes
 * and times stay; owners and modes must be set, and the ACLs that entries of directories say must not be yet.
 * @param givers directories that are there and have a default ACL.
 * @param onStep called before each run of a program.
 */
export function removeInherited(traced: TracedTree, givers: readonly Directory[], onStep: () => void): void {
  const { tree } = traced
  for (const run of inRuns(inheritors(traced, givers))) {
    onStep()
    // Symlinks have none, and inherit none.
    for (const { errno } of setXattrs(tree, run) ?? [])
      if (errno !== 'ENOTSUP') throw asSystemError('setfattr', errno, errno)
  }
}

function* inheritors(traced: TracedTree, givers: readonly Directory[]): Generator<XattrTarget> {
  const { tree } = traced
  for (const giver of givers) yield* inheritorsIn(tree, giver)
  // A further name may be all that is left of a file, and what a directory had that is gone nobody knows.
  if (givers.length === 0 && ![...traced.givers].some(({ isGone }) => isGone)) return
  for (const directory of traced.linked) if (!directory.isGone) yield* filesIn(tree, directory)
}

function* inheritorsIn(tree: RootTree, directory: Directory): Generator<XattrTarget> {
  yield* filesIn(tree, directory)
  for (const child of directory.children?.values() ?? [])
    if (child.isMade) {
      yield { directory: child, name: itself, xattrs: noAcls }
      yield* inheritorsIn(tree, child)
    }
}

/** What this layer has made in a directory besides directories. */
function* filesIn(tree: RootTree, directory: Directory): Generator<XattrTarget> {
  for (const name of directory.isClean ? listedFiles(tree, directory) : (directory.ownNames ?? []))
    if (directory.spared?.has(name) !== true) yield { directory, name, xattrs: noAccess }
}

function listedFiles(tree: RootTree, directory: Directory): ByteString[] {
  return tree
    .list(directory)
    .filter(({ isDirectory }) => !isDirectory)
    .map(({ name }) => name)
}
