import fc from 'fast-check'
import { patched } from '../../support/tar.ts'
import { encodeLayer } from './encode.ts'
import { archives } from './generate.ts'

interface Corruption {
  /** From 0 up to 2 ** 20, where the stream ends. */
  readonly at: number
  /** Instead of what is there. */
  readonly bytes: Buffer
  /** How much of what is there goes. */
  readonly removed: number
  /** Whether the checksum of that block is made to fit. */
  readonly isSealed: boolean
}

const scale = 2 ** 20
const blockBytes = 512

const corruption: fc.Arbitrary<Corruption> = fc.record({
  at: fc.nat({ max: scale - 1 }),
  bytes: fc.oneof(
    { weight: 4, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 1 }).map(bytes => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map(bytes => Buffer.from(bytes)) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('\xff', '\x80', '7777777', '\0\0\0', 'x', 'L', '../')
        .map(text => Buffer.from(text, 'latin1')),
    },
  ),
  removed: fc.constantFrom(1, 1, 1, 0, 7, 512, 513),
  isSealed: fc.boolean(),
})

/** Layers with bytes changed, put in and left out, some of them with checksums that fit. */
export const corruptedArchives: fc.Arbitrary<readonly Buffer[]> = fc
  .tuple(archives, fc.array(corruption, { minLength: 1, maxLength: 3 }))
  .map(([{ layers }, corruptions]) => layers.map(layer => corruptions.reduce(corrupt, encodeLayer(layer))))

function corrupt(stream: Buffer, { at, bytes, removed, isSealed }: Corruption): Buffer {
  const offset = Math.floor((at / scale) * stream.length)
  const changed = Buffer.concat([
    stream.subarray(0, offset),
    bytes,
    stream.subarray(offset + (removed === 1 ? bytes.length : removed)),
  ])
  const block = offset - (offset % blockBytes)
  if (!isSealed || changed.length < block + blockBytes) return changed
  return Buffer.concat([changed.subarray(0, block), patched(changed.subarray(block), 0, '')])
}
