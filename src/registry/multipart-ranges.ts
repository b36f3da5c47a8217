import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ByteRange } from '../storage/objects/object-store.ts'
import type { Content } from './reply.ts'

/** What the parts are taken from. */
export interface RangedBody {
  readonly type: string
  /** Bytes of the whole. */
  readonly size: number
  /** Called for one range after the other, each when the one before has been read. */
  readonly open: (range: ByteRange) => Promise<Readable>
}

/**
 * Several ranges as one body, RFC 9110, 14.6: each range is a part of its own, in the order in which they were
 * asked for, because clients count them. A part that cannot be read shows as a body that is too short.
 */
export function multipartRanges(
  { type, size, open }: RangedBody,
  ranges: readonly ByteRange[],
  boundary: string = randomBytes(16).toString('hex'),
): Content {
  const parts = ranges.map((range, index) => ({
    range,
    head: Buffer.from(
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: bytes ${range.first}-${range.last}/${size}\r\n\r\n`,
    ),
  }))
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const length = parts.reduce((sum, { range, head }) => sum + head.length + range.last - range.first + 1, 0)
  const stream = Readable.from(
    (async function* () {
      for (const { range, head } of parts) {
        yield head
        yield* await open(range)
      }
      yield end
    })(),
    { objectMode: false },
  )
  return { type: `multipart/byteranges; boundary=${boundary}`, length: length + end.length, stream }
}
