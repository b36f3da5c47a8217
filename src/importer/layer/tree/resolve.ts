import { asByteString, type ByteString } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'
import { showPath } from '../entry-path.ts'
import { invalidLayer } from '../layer-errors.ts'

/** What is at a name in a directory, without following a symlink there. */
export type Found<Dir> =
  | { readonly kind: 'missing' }
  | { readonly kind: 'directory'; readonly directory: Dir }
  | { readonly kind: 'symlink'; readonly target: ByteString }
  /** `links`: names that it has. */
  | { readonly kind: 'other'; readonly links: number }

/** A tree that {@link resolveDirectory} can walk. */
export interface Walk<Dir> {
  readonly root: Dir
  /** Undefined for the root. */
  parentOf(directory: Dir): Dir | undefined
  look(directory: Dir, name: ByteString): Found<Dir>
  /** For messages. */
  pathOf(directory: Dir): LayerPath
}

/** A real directory, and what is still missing below it of the one that was asked for. */
export interface Resolved<Dir> {
  readonly directory: Dir
  readonly missing: readonly ByteString[]
  /** Nothing that is made later can make the path lead elsewhere: no `..` has taken back what was missing. */
  readonly isFirm: boolean
}

/** Linux gives up after 40 links, other implementations of layers after 255. */
const maxHops = 255

/**
 * Links may multiply a path: each of {@link maxHops} may be as long as a path. What images have leads through a dozen
 * components.
 */
const maxSteps = 4096

/** At the root of a dataset this is no directory but ZFS's control surface: names in it are commands. */
const zfsControl = '.zfs'

/**
 * Where a directory's path really leads when the layer's root is `/`, as in a chroot: absolute symlinks start
 * at the root, and `..` in a symlink stops there. What is missing stays as it is written: it may still be made.
 * @throws DomainError `invalid` when a component is neither directory nor symlink, for a loop of symlinks, and
 * for ZFS's `.zfs`.
 */
export function resolveDirectory<Dir>(path: LayerPath, walk: Walk<Dir>): Resolved<Dir> {
  let directory = walk.root
  const missing: ByteString[] = []
  const pending = path.toReversed()
  let isFirm = true
  let hops = 0
  let steps = 0
  for (let component = pending.pop(); component !== undefined; component = pending.pop()) {
    if (++steps > maxSteps)
      throw invalidLayer(`${showPath(path)} leads through more than ${maxSteps} directories`)
    if (component === '' || component === '.') continue
    if (component === '..') {
      if (missing.pop() === undefined) directory = walk.parentOf(directory) ?? directory
      else isFirm = false
      continue
    }
    if (missing.length > 0) {
      missing.push(component)
      continue
    }
    if (walk.parentOf(directory) === undefined) refuseZfsControl(component)
    const found = walk.look(directory, component)
    switch (found.kind) {
      case 'missing':
        missing.push(component)
        break
      case 'directory':
        directory = found.directory
        break
      case 'symlink':
        if (++hops > maxHops)
          throw invalidLayer(`${showPath(path)} leads through more than ${maxHops} symlinks`)
        if (found.target.startsWith('/')) directory = walk.root
        pending.push(...splitTarget(found.target).reverse())
        break
      case 'other': {
        const blocking = [...walk.pathOf(directory), component]
        throw invalidLayer(`${showPath(blocking)} on the way to ${showPath(path)} is not a directory`)
      }
    }
  }
  return { directory, missing, isFirm }
}

/**
 * @param top the first component of a real path.
 * @throws DomainError `invalid` for a real path at or below `/.zfs`.
 */
export function refuseZfsControl(top: ByteString | undefined): void {
  if (top === zfsControl) throw invalidLayer('a path in it would reach into ZFS\'s control directory ".zfs"')
}

/** Whether it may be listed and still be none of the tree's. */
export function isZfsControl(name: ByteString): boolean {
  return name === zfsControl
}

function splitTarget(target: ByteString): ByteString[] {
  return target.split('/').map(asByteString)
}
