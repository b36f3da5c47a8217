import type { ByteRange } from '../storage/objects/object-store.ts'

/** What a `Range` header asks of a body of known size. */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' }

const whole: RangeRequest = { kind: 'whole' }
const unsatisfiable: RangeRequest = { kind: 'unsatisfiable' }

/**
 * RFC 9110, 14.2: `bytes=a-b`, `bytes=a-`, `bytes=-n`. Several ranges, other units and malformed headers are
 * ignored, as the RFC allows, and answered with the whole body. A reversed range is refused: clients that send
 * one expect 416.
 *
 * @param size bytes of the whole body.
 */
export function parseByteRange(header: string | undefined, size: number): RangeRequest {
  const [, firstText, lastText] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '') ?? []
  if (firstText === undefined || lastText === undefined || firstText + lastText === '') return whole
  if (firstText === '') return suffix(Number(lastText), size)
  const first = Number(firstText)
  const last = lastText === '' ? Number.POSITIVE_INFINITY : Number(lastText)
  if (first >= size || first > last) return unsatisfiable
  return { kind: 'part', range: { first, last: Math.min(last, size - 1) } }
}

function suffix(length: number, size: number): RangeRequest {
  if (length === 0 || size === 0) return unsatisfiable
  return { kind: 'part', range: { first: Math.max(size - length, 0), last: size - 1 } }
}
