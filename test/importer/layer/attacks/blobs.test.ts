/** S-33 of layers.md 2.C, and S-34 for one layer: what a blob may be, through the engine that importers use. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { ErrorCode } from '../../../../src/errors.ts'
import type { LayerPromise } from '../../../../src/importer/layer/decode/decompress.ts'
import { ThreadedLayerEngine } from '../../../../src/importer/layer/engine/threaded-layer-engine.ts'
import { digestOf, parseDiffId } from '../../../../src/storage/digest.ts'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import { dir, file, gzipOf, tar } from '../../../support/tar.ts'

const gzipType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const zstdType = 'application/vnd.oci.image.layer.v1.tar+zstd'
const plainType = 'application/vnd.oci.image.layer.v1.tar'

const layer = tar(dir('d'), file('d/a', 'hello'), file('noise', randomBytes(3000)))
const names = ['d/', 'd/a', 'noise']
const parts = [layer.subarray(0, 700), layer.subarray(700)] as const
const member = gzipOf(layer)
const frame = zstdCompressSync(layer)
/** RFC 8878, 3.1.2: magic, length, content. */
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
/** RFC 8878, 3.1.1: a frame that asks for a window of 2 GiB, and has one raw block of one byte. */
const hugeWindow = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x09, 0x00, 0x00, 0x41])

const sound: readonly (readonly [what: string, mediaType: string, blob: Buffer, tar?: Buffer])[] = [
  ['one gzip member', gzipType, member],
  ['two gzip members', gzipType, gzipOf(...parts)],
  [
    'a gzip member for each byte of it',
    gzipType,
    Buffer.concat([...layer].map(byte => gzipSync(Buffer.of(byte), { level: 0 }))),
  ],
  ['an empty gzip member at the end', gzipType, gzipOf(layer, Buffer.alloc(0))],
  ['zeros after the last gzip member', gzipType, Buffer.concat([member, Buffer.alloc(100_000)])],
  ['plain tar under a gzip type', gzipType, layer],
  ['plain tar', plainType, layer],
  ['two zstd frames', zstdType, Buffer.concat(parts.map(part => zstdCompressSync(part)))],
  [
    'skippable zstd frames first, between and last',
    zstdType,
    Buffer.concat([skippable, zstdCompressSync(parts[0]), skippable, zstdCompressSync(parts[1]), skippable]),
  ],
]

const unsound: readonly (readonly [what: string, mediaType: string, blob: Buffer, code: ErrorCode])[] = [
  ['junk after the last gzip member', gzipType, Buffer.concat([member, Buffer.from('junk')]), 'invalid'],
  ['a gzip member after zeros', gzipType, Buffer.concat([member, Buffer.alloc(512), member]), 'invalid'],
  ['gzip cut in the middle', gzipType, member.subarray(0, member.length / 2), 'invalid'],
  ['gzip without its end', gzipType, member.subarray(0, -4), 'invalid'],
  [
    'a wrong CRC',
    gzipType,
    Buffer.concat([member.subarray(0, -8), Buffer.alloc(4), member.subarray(-4)]),
    'invalid',
  ],
  ['zstd cut in the middle', zstdType, frame.subarray(0, frame.length / 2), 'invalid'],
  ['zstd without its last byte', zstdType, frame.subarray(0, -1), 'invalid'],
  ['a second zstd frame that is cut', zstdType, Buffer.concat([frame, frame.subarray(0, -1)]), 'invalid'],
  ['a skippable frame that is cut', zstdType, Buffer.concat([frame, skippable.subarray(0, -1)]), 'invalid'],
  ['a zstd window of 2 GiB', zstdType, hugeWindow, 'invalid'],
  [
    'xz (CVE-2014-9357, CVE-2021-20291)',
    gzipType,
    Buffer.concat([Buffer.from('fd377a585a00', 'hex'), layer]),
    'unsupported',
  ],
  ['bzip2', gzipType, Buffer.concat([Buffer.from('425a6839314159265359', 'hex'), layer]), 'unsupported'],
  ['gzip under a plain type', plainType, member, 'invalid'],
  ['zstd under a gzip type', gzipType, frame, 'invalid'],
  ['gzip under a type that is no layer', 'application/octet-stream', member, 'unsupported'],
]

const zeros = Buffer.alloc(16 * 1024 * 1024)

/** So many GiB of zeros, each piece made as it is read. What the limit lets pass of gzip's is two fifths of it. */
const bombs: readonly (readonly [gibibytes: number, what: string, mediaType: string, piece: Buffer])[] = [
  [2, 'gzip', gzipType, gzipSync(zeros)],
  [10, 'zstd', zstdType, zstdCompressSync(zeros)],
]

describeInEachPlace('hostile blobs', { timeout: 120_000 }, place => {
  const engine = new ThreadedLayerEngine()
  after(() => engine[Symbol.asyncDispose]())

  for (const [what, mediaType, blob] of sound)
    it(`S-33: ${what}`, { timeout: 60_000 }, async () => {
      using sandbox = place.sandbox()
      await using opened = engine.open(sourceOf(blob), promiseFor(mediaType, blob, layer))
      await opened.applyTo(sandbox.rootfs)
      assert.deepEqual(sandbox.names(), names)
    })

  it('S-33: no bytes at all', { timeout: 60_000 }, async () => {
    using sandbox = place.sandbox()
    const nothing = Buffer.alloc(0)
    await using opened = engine.open(sourceOf(nothing), promiseFor(gzipType, nothing, nothing))
    await opened.applyTo(sandbox.rootfs)
    assert.deepEqual(sandbox.names(), [])
  })

  for (const [what, mediaType, blob, code] of unsound)
    it(`S-33: ${what}`, { timeout: 60_000 }, async () => {
      using sandbox = place.sandbox()
      const source = sourceOf(blob)
      await using opened = engine.open(source, promiseFor(mediaType, blob, layer))
      await assert.rejects(opened.applyTo(sandbox.rootfs), { name: 'DomainError', code })
      assert.equal(source.destroyed, true)
    })

  for (const [gibibytes, what, mediaType, piece] of bombs)
    it(`S-33: a bomb of ${gibibytes} GiB in ${what}`, { timeout: 60_000 }, async () => {
      using sandbox = place.sandbox()
      const pieces = (gibibytes * 1024 ** 3) / zeros.length
      const source = Readable.from(Array<Buffer>(pieces).fill(piece), { objectMode: false })
      const promise = { ...promiseFor(mediaType, piece, zeros), size: piece.length * pieces }
      await using opened = engine.open(source, promise)
      await assert.rejects(opened.applyTo(sandbox.rootfs), { name: 'DomainError', code: 'too_large' })
    })

  for (const [what, change, code] of [
    ['the blob is another one', { blob: digestOf(layer) }, 'digest_mismatch'],
    ['the diff ID is another one', { diffId: parseDiffId(digestOf(member)) }, 'digest_mismatch'],
    [
      'the diff ID that was computed before is another one',
      { knownDiffId: parseDiffId(digestOf(member)) },
      'digest_mismatch',
    ],
    ['the blob is shorter', { size: member.length + 1 }, 'size_mismatch'],
    ['the blob is longer', { size: member.length - 1 }, 'size_mismatch'],
  ] as const)
    it(`S-34: ${what}`, { timeout: 60_000 }, async () => {
      using sandbox = place.sandbox()
      const promise = { ...promiseFor(gzipType, member, layer), ...change }
      await using opened = engine.open(sourceOf(member), promise)
      await assert.rejects(opened.applyTo(sandbox.rootfs), { name: 'DomainError', code })
    })
})

function promiseFor(mediaType: string, blob: Buffer, tarBytes: Buffer): LayerPromise {
  return { mediaType, blob: digestOf(blob), size: blob.length, diffId: parseDiffId(digestOf(tarBytes)) }
}

/** In odd pieces, so that members and frames end everywhere. */
function sourceOf(blob: Buffer): Readable {
  const size = blob.length > 100_000 ? 60_001 : 777
  const pieces = Array.from({ length: Math.ceil(blob.length / size) }, (_, index) =>
    Buffer.from(blob.subarray(index * size, (index + 1) * size)),
  )
  return Readable.from(pieces, { objectMode: false })
}
