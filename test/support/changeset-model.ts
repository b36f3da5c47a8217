/**
 * What layers mean, over a plain map: the definition to compare the real thing with. Slow and simple on purpose.
 * Source: OCI image-spec, layer.md, "Changesets" and "Whiteouts"; how it goes on where the specification is silent
 * is the contract of `ApplyLayer`.
 */
export interface ModelNode {
  readonly type: 'file' | 'directory' | 'symlink'
  readonly mode: number
  /** Whole seconds. */
  readonly mtime: number
  readonly content: string
  /** Names of one hard-linked file share it. */
  readonly identity: number
}

export type ModelTree = ReadonlyMap<string, ModelNode>

export type Operation =
  | {
      readonly kind: 'file'
      readonly path: string
      readonly mode: number
      readonly mtime: number
      readonly content: string
    }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly mtime: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly mtime: number; readonly content: string }
  | { readonly kind: 'hardlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'whiteout'; readonly path: string }
  | { readonly kind: 'opaque'; readonly path: string }

/** A layer that is refused. */
export class RefusedByModel extends Error {}

/** The tree with one layer more. Paths must not lead through symlinks: the model does not follow any. */
export function applyToModel(lower: ModelTree, operations: readonly Operation[]): ModelTree {
  const tree = new Map(lower)
  /** Paths whose present node comes from this layer's own entry, and directories that it implied anew. */
  const own = new Set<string>()
  let identity = Math.max(0, ...[...lower.values()].map(node => node.identity))

  const below = (path: string): string[] => [...tree.keys()].filter(other => other.startsWith(`${path}/`))
  const isKept = (path: string): boolean => own.has(path) || below(path).some(other => own.has(other))
  const remove = (path: string): void => {
    for (const gone of [path, ...below(path)]) {
      tree.delete(gone)
      own.delete(gone)
    }
  }
  const implied = (): ModelNode => ({
    type: 'directory',
    mode: 0o755,
    mtime: 0,
    content: '',
    identity: ++identity,
  })
  const makeParents = (path: string): void => {
    for (const parent of parentsOf(path)) {
      const there = tree.get(parent)
      if (there !== undefined && there.type !== 'directory')
        throw new RefusedByModel(`${parent} is no directory`)
      if (there === undefined) {
        tree.set(parent, implied())
        own.add(parent)
      }
    }
  }
  const hide = (path: string): void => {
    for (const hidden of [...below(path), path])
      if (tree.has(hidden) && !own.has(hidden)) {
        if (isKept(hidden)) tree.set(hidden, implied())
        else tree.delete(hidden)
      }
  }

  for (const operation of operations) {
    const { kind, path } = operation
    if (kind === 'whiteout' || kind === 'opaque') {
      const through = [...parentsOf(path), ...(kind === 'opaque' ? [path] : [])]
      if (through.some(parent => (tree.get(parent)?.type ?? 'directory') !== 'directory'))
        throw new RefusedByModel(`${path} leads through something that is no directory`)
      if (kind === 'whiteout') hide(path)
      else for (const child of childrenOf(below(path), path)) hide(child)
      continue
    }
    makeParents(path)
    const there = tree.get(path)
    if (kind === 'directory') {
      const merged = there?.type === 'directory'
      if (!merged) remove(path)
      tree.set(path, { ...implied(), mode: operation.mode, mtime: operation.mtime })
      own.add(path)
      continue
    }
    if (kind === 'hardlink') {
      const target = tree.get(operation.target)
      if (target === undefined || target.type === 'directory' || operation.target === path)
        throw new RefusedByModel(`${operation.target} cannot be linked to`)
      if (operation.target.startsWith(`${path}/`)) throw new RefusedByModel('the link removes its target')
      remove(path)
      tree.set(path, target)
    } else {
      remove(path)
      const mode = kind === 'file' ? operation.mode : 0o777
      const { content, mtime } = operation
      tree.set(path, { type: kind, mode, mtime, content, identity: ++identity })
    }
    own.add(path)
  }
  return tree
}

function parentsOf(path: string): string[] {
  const components = path.split('/')
  return components.slice(1).map((_, index) => components.slice(0, index + 1).join('/'))
}

function childrenOf(below: readonly string[], path: string): string[] {
  return below.filter(other => !other.slice(path.length + 1).includes('/'))
}
