import type { Tree, TreeEntry } from '../../support/tree.ts'

/** Components that mean something: neither empty nor `.`. */
export function componentsOf(name: string): string[] {
  return name.split('/').filter(component => component !== '' && component !== '.')
}

export type Walked =
  | { readonly end: 'there'; readonly path: string; readonly node: TreeEntry }
  | { readonly end: 'missing'; readonly path: string }
  | { readonly end: 'not a directory' }
  | { readonly end: 'loop' }

const maxLinks = 255

/**
 * Where a name leads in a tree whose root is `/`, as in a chroot.
 * @param last whether a symlink at the end is followed.
 */
export function walk(tree: Tree, name: string, last: 'follow' | 'keep'): Walked {
  const pending = name.split('/')
  const real: string[] = []
  let links = 0
  let isMissing = false
  while (pending.length > 0) {
    const component = pending.shift() ?? ''
    if (component === '' || component === '.') continue
    if (component === '..') {
      real.pop()
      isMissing = false
      continue
    }
    const node = tree.get([...real, component].join('/'))
    const isLast = pending.every(rest => rest === '' || rest === '.')
    if (node?.type === 'symlink' && (last === 'follow' || !isLast)) {
      if (++links > maxLinks) return { end: 'loop' }
      if (node.target.startsWith('/')) real.length = 0
      pending.unshift(...node.target.split('/'))
      continue
    }
    if (node !== undefined && node.type !== 'directory' && !isLast) return { end: 'not a directory' }
    real.push(component)
    isMissing = node === undefined
  }
  const path = real.length === 0 ? '.' : real.join('/')
  const node = tree.get(path)
  return node === undefined || isMissing ? { end: 'missing', path } : { end: 'there', path, node }
}

/** The directory that an entry of this name would be in. */
export function walkToParent(tree: Tree, name: string): Walked {
  return walk(tree, componentsOf(name).slice(0, -1).join('/'), 'follow')
}

/** What is at a name, its last component not followed. */
export function look(tree: Tree, name: string): Walked {
  return walk(tree, componentsOf(name).join('/'), 'keep')
}
