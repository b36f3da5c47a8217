import type { ByteRange } from '../storage/objects/object-store.ts'

/** What a `Range` header asks of a body of known size. */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  /** Two at least, in the order in which they were asked for; they may overlap. */
  | { readonly kind: 'parts'; readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'unsatisfiable' }

const whole: RangeRequest = { kind: 'whole' }
const unsatisfiable: RangeRequest = { kind: 'unsatisfiable' }

/** Ranges in one request. With more of them the whole body is sent: RFC 9110, 17.15, on denial of service by ranges. */
export const maxRanges = 16

/**
 * RFC 9110, 14.2: `bytes=a-b`, `bytes=a-`, `bytes=-n`, and lists of these. Other units, malformed headers and too
 * many ranges are ignored, as the RFC allows, and answered with the whole body. A reversed range is refused:
 * clients that send one expect 416. Ranges of a list that select nothing are left out, unless all are.
 *
 * @param size bytes of the whole body.
 */
export function parseByteRange(header: string | undefined, size: number): RangeRequest {
  const [, list] = /^bytes=(.*)$/i.exec(header ?? '') ?? []
  const specs = (list ?? '').split(',').map(spec => spec.trim())
  const wanted = specs.filter(spec => spec !== '').map(spec => parseSpec(spec, size))
  if (wanted.length === 0 || wanted.length > maxRanges || wanted.includes('malformed')) return whole
  const ranges = wanted.filter(range => typeof range === 'object')
  const [first, second] = ranges
  if (first === undefined) return unsatisfiable
  return second === undefined ? { kind: 'part', range: first } : { kind: 'parts', ranges }
}

/** One range; undefined when it selects nothing. */
function parseSpec(spec: string, size: number): ByteRange | undefined | 'malformed' {
  const [, firstText, lastText] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  if (firstText === undefined || lastText === undefined || firstText + lastText === '') return 'malformed'
  if (firstText === '') return suffix(Number(lastText), size)
  const first = Number(firstText)
  const last = lastText === '' ? Number.POSITIVE_INFINITY : Number(lastText)
  if (first >= size || first > last) return undefined
  return { first, last: Math.min(last, size - 1) }
}

function suffix(length: number, size: number): ByteRange | undefined {
  if (length === 0 || size === 0) return undefined
  return { first: Math.max(size - length, 0), last: size - 1 }
}
