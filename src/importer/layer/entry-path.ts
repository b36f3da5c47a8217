import { type ByteString, asByteString, show } from './byte-string.ts'
import type { LayerPath } from './entry.ts'
import { invalidLayer } from './layer-errors.ts'
import type { LayerLimits } from './limits.ts'

/** NAME_MAX of every file system that a layer can land on. */
const maxComponentBytes = 255

/**
 * An entry's name, or a hard link's target, as components: leading and doubled `/` and `.` components mean
 * nothing and are dropped.
 *
 * `..` is refused, not clamped: no builder writes it, and readers that disagree about it are how archives
 * escape.
 * @throws DomainError `invalid`, naming the entry.
 */
export function parseEntryPath(name: ByteString, limits: LayerLimits): LayerPath {
  if (name.length > limits.maxPathBytes)
    throw invalidLayer(`the path ${show(name)} is longer than ${limits.maxPathBytes} bytes`)
  if (name.includes('\0')) throw invalidLayer(`the path ${show(name)} has a NUL byte`)
  const components: ByteString[] = []
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue
    if (component === '..') throw invalidLayer(`the path ${show(name)} has a component ".."`)
    if (component.length > maxComponentBytes)
      throw invalidLayer(`the path ${show(name)} has a component of more than ${maxComponentBytes} bytes`)
    components.push(asByteString(component))
  }
  if (components.length > limits.maxDepth)
    throw invalidLayer(`the path ${show(name)} has more than ${limits.maxDepth} components`)
  return components
}

export function joinPath(path: LayerPath): ByteString {
  return asByteString(path.join('/'))
}

/** For messages. */
export function showPath(path: LayerPath): string {
  return path.length === 0 ? '"/"' : show(joinPath(path))
}
