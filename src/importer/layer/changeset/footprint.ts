import type { ByteString } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'

/**
 * What one layer has done to the tree so far, by real path (no symlink in it). It answers two questions: what
 * may a whiteout still hide, and which time does each directory get in the end.
 *
 * Whiteouts hide the layers below, never their own layer, and may come before or after what they spare. So
 * what this layer has made is remembered, but only where lower content is near: below a directory that has none,
 * only directories are, for their times.
 */
export class Footprint {
  readonly #root: Trace = newTrace()

  /** The trace at a path, made with its ancestors when there is none yet. */
  at(path: LayerPath): Trace {
    let trace = this.#root
    for (const name of path) trace = childOf(trace, name)
    return trace
  }

  find(path: LayerPath): Trace | undefined {
    let trace: Trace | undefined = this.#root
    for (const name of path) trace = trace?.children?.get(name)
    return trace
  }

  /** Whether the layers below have nothing under this directory, be it because it is new. */
  isClean(directory: LayerPath): boolean {
    let trace: Trace | undefined = this.#root
    for (const name of directory) {
      if (trace === undefined || trace.clean) break
      trace = trace.children?.get(name)
    }
    return trace?.clean ?? false
  }

  /** Something of this layer is at this path now, so the directories that it is in are kept as well. */
  keep(path: LayerPath, kept: Kept): Trace {
    let trace = this.#root
    for (const name of path) {
      trace.kept ??= 'implied'
      trace = childOf(trace, name)
    }
    if (trace.kept !== 'entry') trace.kept = kept
    return trace
  }

  /** Whatever was at this path is gone, with all below. */
  forget(path: LayerPath): void {
    const name = path.at(-1)
    if (name !== undefined) this.find(path.slice(0, -1))?.children?.delete(name)
  }

  /** The time that each directory has to get at the end, in seconds. */
  *directoryTimes(): Generator<{ path: LayerPath; mtime: number }> {
    const pending: { path: LayerPath; trace: Trace }[] = [{ path: [], trace: this.#root }]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { path, trace } = next
      if (trace.mtime !== undefined) yield { path, mtime: trace.mtime }
      for (const [name, child] of trace.children ?? []) pending.push({ path: [...path, name], trace: child })
    }
  }
}

/** By an entry of its own, or only as the directory of something that is kept. */
export type Kept = 'entry' | 'implied'

export interface Trace {
  children: Map<ByteString, Trace> | undefined
  /** Set when this layer has something here or below. A whiteout hides what is not kept. */
  kept: Kept | undefined
  /** The layers below have nothing under this directory (any more). */
  clean: boolean
  /** Of a directory: the time that it has to get at the end, in seconds. */
  mtime: number | undefined
}

function newTrace(): Trace {
  return { children: undefined, kept: undefined, clean: false, mtime: undefined }
}

function childOf(trace: Trace, name: ByteString): Trace {
  trace.children ??= new Map()
  let child = trace.children.get(name)
  if (child === undefined) {
    child = newTrace()
    trace.children.set(name, child)
  }
  return child
}
