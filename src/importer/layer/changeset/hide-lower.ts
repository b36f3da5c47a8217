import type { ByteString } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'
import type { Directory } from '../tree/directory.ts'
import { isZfsControl, refuseZfsControl } from '../tree/resolve.ts'
import { implied, type TracedTree } from './traced-tree.ts'

/** A whiteout: hides what the layers below have at a name. Nothing there is no error, and makes nothing. */
export function hideLower(traced: TracedTree, path: LayerPath, name: ByteString): void {
  const { directory, missing } = traced.resolveParent(path)
  if (directory.parent === undefined && missing.length === 0) refuseZfsControl(name)
  if (missing.length > 0 || directory.isClean || directory.ownNames?.has(name) === true) return
  const found = traced.tree.look(directory, name)
  if (found.kind === 'missing') return
  traced.rememberTime(directory)
  if (found.kind === 'directory') hideDirectory(traced, found.directory)
  else traced.remove({ directory, name })
}

/** An opaque whiteout: hides what the layers below have in a directory, and keeps the directory. */
export function hideLowerContent(traced: TracedTree, path: LayerPath): void {
  const { directory, missing } = traced.resolveParent(path)
  if (missing.length > 0 || directory.isClean) return
  traced.rememberTime(directory)
  hideContent(traced, directory)
}

function hideDirectory(traced: TracedTree, directory: Directory): void {
  if (directory.kept === undefined) {
    traced.removeDirectory(directory)
    return
  }
  // The directory below is hidden too; what stays is one that this layer implies.
  if (directory.kept === 'implied') traced.describeDirectory(directory, implied, 'implied')
  if (!directory.isClean) hideContent(traced, directory)
}

/**
 * Walks each directory at most once in a layer: after that there is nothing left to hide. Repeated walks are how
 * opaque whiteouts have been a CPU bomb elsewhere (GHSA-rp3h-jf77-q9p4).
 */
function hideContent(traced: TracedTree, directory: Directory): void {
  directory.isClean = true
  const own = directory.ownNames
  directory.ownNames = undefined
  for (const { name, isDirectory } of traced.tree.list(directory)) {
    if (directory.parent === undefined && isZfsControl(name)) continue
    const known = directory.children?.get(name)
    if (known !== undefined) hideDirectory(traced, known)
    else if (own?.has(name) === true) continue
    else if (isDirectory) traced.removeDirectory(directory.child(name))
    else traced.removeFile({ directory, name })
  }
}
