import { type ByteString, asByteString } from '../byte-string.ts'
import type { LayerPath } from '../entry.ts'
import { showPath } from '../entry-path.ts'
import { invalidLayer } from '../layer-errors.ts'

/** What is at a path inside the root, without following a symlink there. */
export type Found =
  | { readonly kind: 'missing' }
  | { readonly kind: 'directory' }
  | { readonly kind: 'symlink'; readonly target: ByteString }
  | { readonly kind: 'other' }

/** Linux gives up after 40 links, other implementations of layers after 255. */
const maxHops = 255

/** At the root of a dataset this is no directory but ZFS's control surface: names in it are commands. */
const zfsControl = '.zfs'

/**
 * Where a directory's path really leads when the layer's root is `/`, as in a chroot: absolute symlinks start
 * at the root, and `..` in a symlink stops there. What is missing stays as it is written, so that the answer may
 * name directories that are still to be made.
 *
 * The answer has no symlink in it, so a file system call on it cannot leave the root, as long as nothing is
 * changed in between. Nothing is remembered between calls: a layer may replace a directory by a symlink.
 * @throws DomainError `invalid` when a component is neither directory nor symlink, for a loop of symlinks, and
 * for ZFS's `.zfs`.
 */
export function resolveDirectory(path: LayerPath, inspect: (path: LayerPath) => Found): LayerPath {
  const real: ByteString[] = []
  const pending = path.toReversed()
  let hops = 0
  for (let component = pending.pop(); component !== undefined; component = pending.pop()) {
    if (component === '' || component === '.') continue
    if (component === '..') {
      real.pop()
      continue
    }
    real.push(component)
    refuseZfsControl(real)
    const found = inspect(real)
    switch (found.kind) {
      case 'missing':
      case 'directory':
        break
      case 'symlink':
        if (++hops > maxHops)
          throw invalidLayer(`${showPath(path)} leads through more than ${maxHops} symlinks`)
        if (found.target.startsWith('/')) real.length = 0
        else real.pop()
        pending.push(...splitTarget(found.target).reverse())
        break
      case 'other':
        throw invalidLayer(`${showPath(real)} on the way to ${showPath(path)} is not a directory`)
    }
  }
  return real
}

/** @throws DomainError `invalid` for a real path at or below `/.zfs`. */
export function refuseZfsControl(real: LayerPath): void {
  if (real[0] === zfsControl) throw invalidLayer(`${showPath(real)} would reach into ZFS's control directory`)
}

function splitTarget(target: ByteString): ByteString[] {
  return target.split('/').map(asByteString)
}
