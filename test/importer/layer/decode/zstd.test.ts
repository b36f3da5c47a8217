import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { constants, zstdCompressSync } from 'node:zlib'
import { openLayerTar } from '../../../../src/importer/layer/decode/decompress.ts'
import { isDomainError } from '../../../../src/errors.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { digestOf } from '../../../../src/storage/digest.ts'
import { layerBlob, sourceOf, zstdLayer } from '../../../support/layer-blobs.ts'

function open(blob: Buffer, expected: Uint8Array, chunkBytes?: number): Readable {
  const { bytes, promise } = layerBlob(expected, blob, zstdLayer)
  return openLayerTar(sourceOf(bytes, chunkBytes), promise, defaultLayerLimits)
}

/** Of the compressed bytes in pieces of this size, so that frames end everywhere. */
const pieces = [1, 7, 65_536]
const hello = Buffer.from('hello, layer')
const text = Buffer.alloc(5000, 'some text that repeats itself ')
const helloFrame = zstdCompressSync(hello)
const checkedFrame = zstdCompressSync(text, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })

/** RFC 8878, 3.1.2: one of sixteen magics, length, content. */
function skippable(content: string, variant = 0): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x18_4d_2a_50 + variant)
  head.writeUInt32LE(content.length, 4)
  return Buffer.concat([head, Buffer.from(content)])
}

/** RFC 8878, 3.1.1: a frame with this descriptor and what belongs to it, and one raw block that says hello. */
function handmadeFrame(...header: readonly number[]): Buffer {
  const block = (hello.length << 3) | 1
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...header, block, 0, 0]), hello])
}
const windowDescriptor = (log: number): number => (log - 10) << 3

describe('S-33: zstd', { timeout: 60_000 }, () => {
  const sound: readonly (readonly [what: string, blob: Buffer, tar: Buffer])[] = [
    ['two frames', Buffer.concat([helloFrame, checkedFrame]), Buffer.concat([hello, text])],
    ['a skippable frame first', Buffer.concat([skippable('first'), helloFrame]), hello],
    ['a skippable frame last', Buffer.concat([helloFrame, skippable('last')]), hello],
    ['an empty skippable frame last', Buffer.concat([helloFrame, skippable('')]), hello],
    [
      'skippable frames of all kinds between others',
      Buffer.concat([
        helloFrame,
        ...Array.from({ length: 16 }, (_, variant) => skippable('between', variant)),
        checkedFrame,
      ]),
      Buffer.concat([hello, text]),
    ],
    ['nothing but a skippable frame', skippable('alone'), Buffer.alloc(0)],
    [
      'an empty frame between others',
      Buffer.concat([helloFrame, zstdCompressSync(''), helloFrame]),
      Buffer.concat([hello, hello]),
    ],
    ['a window of 128 MiB', handmadeFrame(0, windowDescriptor(27)), hello],
    [
      '2,000 frames',
      Buffer.concat(Array<Buffer>(2000).fill(helloFrame)),
      Buffer.concat(Array<Buffer>(2000).fill(hello)),
    ],
  ]
  for (const [what, blob, tar] of sound)
    for (const chunkBytes of pieces)
      it(`reads ${what} in pieces of ${chunkBytes} bytes`, async () => {
        assert.deepEqual(await buffer(open(blob, tar, chunkBytes)), tar)
      })

  for (const [what, blob, whole] of [
    ['one frame', checkedFrame, text],
    ['two frames', Buffer.concat([helloFrame, checkedFrame]), Buffer.concat([hello, text])],
    ['a frame and a skippable one', Buffer.concat([helloFrame, skippable('last')]), hello],
  ] as const)
    it(`refuses ${what} cut anywhere, however it comes`, async () => {
      for (let length = 1; length < blob.length; length++)
        for (const chunkBytes of pieces) {
          // At the border of two frames it is whole, only not this layer.
          const isWhole = length === helloFrame.length && whole !== text
          const reading = buffer(open(blob.subarray(0, length), whole, chunkBytes))
          if (isWhole && whole === hello) await reading
          else
            await assert.rejects(reading, error =>
              isDomainError(error, isWhole ? 'digest_mismatch' : 'invalid'),
            )
        }
    })

  const unsound: readonly (readonly [what: string, blob: Buffer, says: RegExp])[] = [
    ['a window of 256 MiB', handmadeFrame(0, windowDescriptor(28)), /window|memory/i],
    ['a window of 2 GiB', handmadeFrame(0, windowDescriptor(31)), /window|memory/i],
    ['a frame that needs a dictionary', handmadeFrame(1, windowDescriptor(17), 7), /dict/i],
    ['a wrong checksum', Buffer.concat([checkedFrame.subarray(0, -1), Buffer.of(0)]), /checksum/i],
    ['zeros after a frame', Buffer.concat([helloFrame, Buffer.alloc(100)]), /prefix|unknown/i],
    ['gzip after a frame', Buffer.concat([helloFrame, Buffer.from('1f8b08', 'hex')]), /./],
  ]
  for (const [what, blob, says] of unsound)
    for (const chunkBytes of pieces)
      it(`refuses ${what} in pieces of ${chunkBytes} bytes`, async () => {
        await assert.rejects(
          buffer(open(blob, hello, chunkBytes)),
          error => isDomainError(error, 'invalid') && says.test(error.message),
        )
      })

  it('stops a bomb of 10 GiB of zeros long before its end', async () => {
    const frame = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
    const blob = Buffer.concat(Array<Buffer>(160).fill(frame))
    let bytes = 0
    const reading = (async () => {
      for await (const chunk of open(blob, hello)) bytes += (chunk as Buffer).length
    })()
    await assert.rejects(reading, { code: 'too_large' })
    assert.ok(bytes <= blob.length * defaultLayerLimits.maxRatio)
  })

  it('gives the same bytes as the decoder for one frame', async () => {
    const tar = Buffer.concat([text, hello])
    assert.equal(digestOf(await buffer(open(zstdCompressSync(tar), tar))), digestOf(tar))
  })
})
