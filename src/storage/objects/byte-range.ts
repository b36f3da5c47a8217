import { DomainError, type ErrorDetails } from '../../errors.ts'
import type { ByteRange } from './object-store.ts'

/**
 * The part of `size` bytes that a range selects: `length` bytes from `first`. Without a range, all of them.
 * The rule is HTTP's (RFC 9110, section 14.1.2), so nothing can be selected from an empty object.
 *
 * @throws DomainError `out_of_range`.
 */
export function selectRange(
  size: number,
  range: ByteRange | undefined,
  what: Pick<ErrorDetails, 'resource' | 'name'>,
): { readonly first: number; readonly length: number } {
  if (range === undefined) return { first: 0, length: size }
  const { first, last } = range
  if (!Number.isSafeInteger(first) || first < 0 || first >= size || !(last >= first))
    throw new DomainError(
      'out_of_range',
      `The bytes ${first}-${last} are not within the ${size} bytes of the ${what.resource} ${what.name ?? ''}.`,
      what,
    )
  return { first, length: Math.min(last, size - 1) - first + 1 }
}
