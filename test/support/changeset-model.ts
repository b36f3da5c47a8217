/**
 * What layers mean, over a plain map: the definition to compare the real thing with. Slow and simple on purpose.
 * Source: OCI image-spec, layer.md, "Changesets" and "Whiteouts"; how it goes on where the specification is silent
 * is the contract of `ApplyLayer`.
 */
export interface ModelNode {
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo'
  readonly mode: number
  /** User and group, which are the same here. */
  readonly owner: number
  /** Whole seconds. */
  readonly mtime: number
  readonly content: string
  /** Names of one hard-linked file share it. */
  readonly identity: number
}

export type ModelTree = ReadonlyMap<string, ModelNode>

interface Described {
  readonly path: string
  readonly mtime: number
  /** root unless said otherwise. */
  readonly owner?: number
}

/** Paths have no component that is empty, `.` or `..`; only that of an opaque whiteout may be empty: the root. */
export type Operation =
  | (Described & { readonly kind: 'file'; readonly mode: number; readonly content: string })
  | (Described & { readonly kind: 'directory' | 'fifo' | 'device'; readonly mode: number })
  | (Described & { readonly kind: 'symlink'; readonly content: string })
  | { readonly kind: 'hardlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'whiteout'; readonly path: string }
  | { readonly kind: 'opaque'; readonly path: string }

/** A layer that is refused. */
export class RefusedByModel extends Error {}

/** The tree with one layer more. */
export function applyToModel(lower: ModelTree, operations: readonly Operation[]): ModelTree {
  const tree = new Map(lower)
  /** Paths whose present node comes from this layer's own entry, and directories that it implied anew. */
  const own = new Set<string>()
  let identity = Math.max(0, ...[...lower.values()].map(node => node.identity))

  const below = (path: string): string[] => [...tree.keys()].filter(other => other.startsWith(`${path}/`))
  /** Devices are left out, and so are hard links to them. */
  const skipped = new Set<string>()
  const skippedBelow = (path: string): string[] => [...skipped].filter(other => other.startsWith(`${path}/`))
  const isKept = (path: string): boolean =>
    own.has(path) || below(path).some(other => own.has(other)) || skippedBelow(path).length > 0
  const remove = (path: string): void => {
    for (const gone of [path, ...below(path)]) {
      tree.delete(gone)
      own.delete(gone)
    }
    for (const gone of skippedBelow(path)) skipped.delete(gone)
  }
  const implied = (): ModelNode => ({
    type: 'directory',
    mode: 0o755,
    owner: 0,
    mtime: 0,
    content: '',
    identity: ++identity,
  })
  const makeParents = (path: string): void => {
    for (const parent of parentsOf(path)) {
      if (tree.has(parent)) continue
      skipped.delete(parent)
      tree.set(parent, implied())
      own.add(parent)
    }
  }
  const hide = (path: string): void => {
    for (const hidden of [...below(path), path])
      if (tree.has(hidden) && !own.has(hidden)) {
        if (isKept(hidden)) tree.set(hidden, implied())
        else tree.delete(hidden)
      }
  }
  const leaveOut = (path: string): void => {
    remove(path)
    skipped.add(path)
  }

  for (const operation of operations) {
    const { kind } = operation
    if (kind === 'opaque') {
      const path = resolveDirectory(tree, operation.path)
      for (const child of childrenOf(path === '' ? [...tree.keys()] : below(path), path)) hide(child)
      continue
    }
    const path = resolveParent(tree, operation.path)
    if (kind === 'whiteout') {
      hide(path)
      continue
    }
    makeParents(path)
    const there = tree.get(path)
    if (kind === 'hardlink') {
      const target = resolveParent(tree, operation.target)
      const node = tree.get(target)
      if (`${target}/`.startsWith(`${path}/`)) throw new RefusedByModel('the link removes its target')
      if (skipped.has(target)) leaveOut(path)
      else if (node === undefined || node.type === 'directory')
        throw new RefusedByModel(`${target} cannot be linked to`)
      else {
        remove(path)
        skipped.delete(path)
        tree.set(path, node)
        own.add(path)
      }
      continue
    }
    const { mtime, owner = 0 } = operation
    if (kind === 'device') {
      leaveOut(path)
      continue
    }
    if (kind !== 'directory' || there?.type !== 'directory') remove(path)
    skipped.delete(path)
    const mode = kind === 'symlink' ? 0o777 : operation.mode
    const content = kind === 'file' || kind === 'symlink' ? operation.content : ''
    tree.set(path, { type: kind, mode, owner, mtime, content, identity: ++identity })
    own.add(path)
  }
  return tree
}

/** Further than that no way leads. */
const maxLinks = 255

/** Where a directory's path leads, as in a chroot, through symlinks. What is missing is still to be made. */
function resolveDirectory(tree: ModelTree, path: string): string {
  const pending = path.split('/')
  let real: string[] = []
  let links = 0
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '' || name === '.') continue
    if (name === '..') {
      real.pop()
      continue
    }
    const node = tree.get([...real, name].join('/'))
    if (node?.type === 'symlink') {
      if (++links > maxLinks) throw new RefusedByModel(`${path} leads through a loop`)
      if (node.content.startsWith('/')) real = []
      pending.unshift(...node.content.split('/'))
      continue
    }
    if (node !== undefined && node.type !== 'directory')
      throw new RefusedByModel(`${path} leads through something that is no directory`)
    real.push(name)
  }
  return real.join('/')
}

/** Where a path leads when its last component is not followed. */
function resolveParent(tree: ModelTree, path: string): string {
  const components = path.split('/')
  const parent = resolveDirectory(tree, components.slice(0, -1).join('/'))
  return [...(parent === '' ? [] : [parent]), ...components.slice(-1)].join('/')
}

function parentsOf(path: string): string[] {
  const components = path.split('/')
  return components.slice(1).map((_, index) => components.slice(0, index + 1).join('/'))
}

function childrenOf(below: readonly string[], path: string): string[] {
  return below.filter(other => !other.slice(path === '' ? 0 : path.length + 1).includes('/'))
}
