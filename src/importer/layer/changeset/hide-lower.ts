import type { ByteString } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'
import type { Trace } from './footprint.ts'
import { refuseZfsControl } from '../tree/resolve.ts'
import { implied, type TracedTree } from './traced-tree.ts'

/** A whiteout: hides what the layers below have at a name. Nothing there is no error, and makes nothing. */
export function hideLower(traced: TracedTree, directory: LayerPath, name: ByteString): void {
  const parent = traced.resolve(directory)
  const path = [...parent, name]
  refuseZfsControl(path)
  if (traced.footprint.isClean(parent) || traced.tree.inspect(path).kind === 'missing') return
  traced.rememberTime(parent)
  hideAt(traced, path)
}

/** An opaque whiteout: hides what the layers below have in a directory, and keeps the directory. */
export function hideLowerContent(traced: TracedTree, directory: LayerPath): void {
  const path = traced.resolve(directory)
  if (traced.footprint.isClean(path) || traced.tree.inspect(path).kind !== 'directory') return
  traced.rememberTime(path)
  hideContent(traced, path, traced.footprint.at(path))
}

function hideAt(traced: TracedTree, path: LayerPath): void {
  const trace = traced.footprint.find(path)
  if (trace?.kept === undefined) {
    traced.remove(path)
    return
  }
  // The directory below is hidden too; what stays is one that this layer implies.
  if (trace.kept === 'implied') traced.describeDirectory(path, implied, 'implied')
  if (!trace.clean) hideContent(traced, path, trace)
}

/**
 * Walks each directory at most once in a layer: after that there is nothing left to hide. Repeated walks are how
 * opaque whiteouts have been a CPU bomb elsewhere (GHSA-rp3h-jf77-q9p4).
 */
function hideContent(traced: TracedTree, path: LayerPath, trace: Trace): void {
  trace.clean = true
  for (const name of traced.tree.list(path))
    if (path.length > 0 || name !== '.zfs') hideAt(traced, [...path, name])
}
