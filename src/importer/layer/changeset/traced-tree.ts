import type { Attributes, LayerPath } from '../entry.ts'
import { Footprint, type Trace } from './footprint.ts'
import { resolveDirectory } from '../tree/resolve.ts'
import type { RootTree } from '../tree/root-tree.ts'

/** Of a directory that no entry describes: it must come out the same every time. */
export const implied: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0 }

/**
 * A tree and the footprint that one layer leaves in it, kept in step: every change of the one is a change of the
 * other. Paths are real, but for those that {@link resolve} takes.
 */
export class TracedTree {
  readonly tree: RootTree
  readonly footprint = new Footprint()

  constructor(tree: RootTree) {
    this.tree = tree
    this.footprint.at([]).clean = tree.list([]).length === 0
  }

  /** See {@link resolveDirectory}. */
  resolve(directory: LayerPath): LayerPath {
    return resolveDirectory(directory, path => this.tree.inspect(path))
  }

  /** Makes what is missing of a directory's path. Returns how many directories that was. */
  makeParents(path: LayerPath): number {
    if (this.tree.inspect(path).kind === 'directory') return 0
    let made = 0
    for (let depth = 1; depth <= path.length; depth++) {
      const directory = path.slice(0, depth)
      if (this.tree.inspect(directory).kind !== 'missing') continue
      this.makeDirectory(directory, implied, 'implied')
      made++
    }
    return made
  }

  /** Where nothing is. */
  makeDirectory(path: LayerPath, attributes: Attributes, kept: 'entry' | 'implied'): void {
    this.rememberTime(path.slice(0, -1))
    this.tree.makeDirectory(path)
    this.describeDirectory(path, attributes, kept).clean = true
  }

  describeDirectory(path: LayerPath, attributes: Attributes, kept: 'entry' | 'implied'): Trace {
    this.tree.setDirectoryOwner(path, attributes)
    const trace = this.footprint.keep(path, kept)
    trace.mtime = attributes.mtime
    return trace
  }

  /** After something that is no directory was made at a path. */
  keep(path: LayerPath): void {
    const parent = path.slice(0, -1)
    if (this.footprint.isClean(parent)) this.footprint.keep(parent, 'implied')
    else this.footprint.keep(path, 'entry').clean = true
  }

  /** Makes room at a path for something new. */
  clear(path: LayerPath): void {
    this.rememberTime(path.slice(0, -1))
    if (this.tree.inspect(path).kind !== 'missing') this.remove(path)
  }

  remove(path: LayerPath): void {
    this.tree.remove(path)
    this.footprint.forget(path)
  }

  /** Before a directory's content changes: the first change keeps the time that the layers below gave it. */
  rememberTime(directory: LayerPath): void {
    const trace = this.footprint.at(directory)
    trace.mtime ??= this.tree.mtimeOf(directory)
  }

  /** Gives every directory its time, which its content has changed meanwhile. */
  restoreTimes(): void {
    for (const { path, mtime } of this.footprint.directoryTimes()) this.tree.setTime(path, mtime)
  }
}
