import assert from 'node:assert/strict'
import crypto, { randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { openLayerTar } from '../../../../src/importer/layer/decode/decompress.ts'
import { defaultLayerLimits, type LayerLimits } from '../../../../src/importer/layer/limits.ts'
import { type DiffId, digestOf, parseDiffId } from '../../../../src/storage/digest.ts'
import { gzipOf } from '../../../support/tar.ts'

const gzipType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const zstdType = 'application/vnd.oci.image.layer.v1.tar+zstd'
const plainType = 'application/vnd.oci.image.layer.v1.tar'

interface Case {
  readonly mediaType?: string
  readonly limits?: Partial<LayerLimits>
  readonly pieceBytes?: number
  /** Instead of the blob's own. */
  readonly size?: number
  readonly knownDiffId?: DiffId | undefined
}

function open(
  blob: Buffer,
  expected: Uint8Array,
  options: Case = {},
): { source: Readable; stream: Readable } {
  const { mediaType = gzipType, limits, pieceBytes = 65_536, size = blob.length, knownDiffId } = options
  const pieces = Array.from({ length: Math.ceil(blob.length / pieceBytes) }, (_, index) =>
    blob.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  )
  const source = Readable.from(pieces, { objectMode: false })
  const diffId = parseDiffId(digestOf(expected))
  const promise = { mediaType, blob: digestOf(blob), size, diffId, knownDiffId }
  return { source, stream: openLayerTar(source, promise, { ...defaultLayerLimits, ...limits }) }
}

const hello = Buffer.from('hello, layer')
const noise = randomBytes(40_000)
const zeros = (length: number): Buffer => Buffer.alloc(length)
/** RFC 8878, 3.1.2: magic, length, content. */
const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])

describe('openLayerTar', { timeout: 60_000 }, () => {
  const sound: readonly (readonly [what: string, blob: Buffer, tar: Buffer, options?: Case])[] = [
    ['gzip', gzipOf(noise), noise],
    ['S-33: two gzip members', gzipOf(hello, noise), Buffer.concat([hello, noise])],
    ['S-33: an empty gzip member at the end', gzipOf(hello, zeros(0)), hello],
    [
      'S-33: 20,000 gzip members',
      Buffer.concat(Array(20_000).fill(gzipSync('x'))),
      Buffer.alloc(20_000, 'x'),
    ],
    ['S-33: zeros after the last member', Buffer.concat([gzipOf(hello), zeros(100_000)]), hello],
    ['S-33: plain tar under a gzip type', hello, hello],
    ['S-33: an empty blob', zeros(0), zeros(0)],
    ['an empty plain blob', zeros(0), zeros(0), { mediaType: plainType }],
    ['a gzip of nothing', gzipOf(zeros(0)), zeros(0)],
    ['plain tar', noise, noise, { mediaType: plainType }],
    ['a blob shorter than any magic', Buffer.from('ab'), Buffer.from('ab'), { mediaType: plainType }],
    ['zstd', zstdCompressSync(noise), noise, { mediaType: zstdType }],
    [
      'S-33: zstd in frames, skippable ones among them',
      Buffer.concat([skippable, zstdCompressSync(hello), skippable, zstdCompressSync(noise), skippable]),
      Buffer.concat([hello, noise]),
      { mediaType: zstdType },
    ],
  ]
  for (const [what, blob, tar, options] of sound)
    for (const pieceBytes of blob.length > 1000 ? [65_536, 999] : [65_536, 1])
      it(`reads ${what} in pieces of ${pieceBytes} bytes`, { timeout: 20_000 }, async () => {
        const { stream } = open(blob, tar, { ...options, pieceBytes })
        assert.equal(digestOf(await buffer(stream)), digestOf(tar))
      })

  const member = gzipOf(noise)
  const unsound: readonly (readonly [what: string, blob: Buffer, code: string, options?: Case])[] = [
    ['S-33: truncated gzip', member.subarray(0, -5), 'invalid'],
    ['S-33: gzip cut in its header', member.subarray(0, 12), 'invalid'],
    ['S-33: a wrong CRC', Buffer.concat([member.subarray(0, -8), zeros(4), member.subarray(-4)]), 'invalid'],
    ['S-33: junk after gzip', Buffer.concat([member, Buffer.from('junk')]), 'invalid'],
    ['S-33: a member after zeros', Buffer.concat([gzipOf(hello), zeros(100), gzipOf(hello)]), 'invalid'],
    ['S-33: truncated zstd', zstdCompressSync(noise).subarray(0, -5), 'invalid', { mediaType: zstdType }],
    [
      'S-33: junk after zstd',
      Buffer.concat([zstdCompressSync(noise), Buffer.from('junk junk')]),
      'invalid',
      { mediaType: zstdType },
    ],
    ['S-33: xz', Buffer.concat([Buffer.from('fd377a585a00', 'hex'), noise]), 'unsupported'],
    ['S-33: bzip2', Buffer.concat([Buffer.from('425a6839314159265359', 'hex'), noise]), 'unsupported'],
    ['gzip under a plain type', member, 'invalid', { mediaType: plainType }],
    ['gzip under a zstd type', member, 'invalid', { mediaType: zstdType }],
    ['plain tar under a zstd type', noise, 'invalid', { mediaType: zstdType }],
    ['a type that is no layer', member, 'unsupported', { mediaType: 'application/octet-stream' }],
    ['S-34: another tar than the diff ID says', gzipOf(hello), 'digest_mismatch'],
    ['S-34: a blob shorter than it should be', member, 'size_mismatch', { size: member.length + 1 }],
    ['S-34: a blob longer than it should be', member, 'size_mismatch', { size: member.length - 1 }],
    ['more bytes than the limit', member, 'too_large', { limits: { maxBytes: 39_999 } }],
    ['S-33: a bomb', gzipOf(zeros(20_000_000)), 'too_large'],
  ]
  for (const [what, blob, code, options] of unsound)
    for (const pieceBytes of [65_536, 7])
      it(`refuses ${what} in pieces of ${pieceBytes} bytes`, { timeout: 20_000 }, async () => {
        const { stream, source } = open(blob, noise, { ...options, pieceBytes })
        await assert.rejects(buffer(stream), { name: 'DomainError', code })
        assert.equal(source.destroyed, true)
      })

  it('lets content be very small up to a floor', async () => {
    const tar = zeros(16 * 1024 * 1024)
    const { stream } = open(gzipOf(tar), tar, { limits: { maxRatio: 2 } })
    assert.equal((await buffer(stream)).length, tar.length)
  })

  it('stops a bomb without unpacking it', async () => {
    const { stream } = open(gzipOf(zeros(64 * 1024 * 1024)), zeros(0), { limits: { maxRatio: 2 } })
    let bytes = 0
    const reading = (async () => {
      for await (const chunk of stream) bytes += (chunk as Buffer).length
    })()
    await assert.rejects(reading, { code: 'too_large' })
    assert.ok(bytes <= 16 * 1024 * 1024)
  })

  it('S-33: stops a gzip bomb of 10 GiB of zeros long before its end', async () => {
    const member = gzipSync(zeros(64 * 1024 * 1024))
    const blob = Buffer.concat(Array<Buffer>(160).fill(member))
    const { stream } = open(blob, zeros(0), { limits: { maxRatio: 10 } })
    let bytes = 0
    const reading = (async () => {
      for await (const chunk of stream) bytes += (chunk as Buffer).length
    })()
    await assert.rejects(reading, { code: 'too_large' })
    assert.ok(bytes <= blob.length * 10)
  })

  it('does not hash a tar stream whose diff ID this host has computed before', async t => {
    const createHash = t.mock.method(crypto, 'createHash')
    syncBuiltinESMExports()
    try {
      const blob = gzipOf(noise)
      const hashes = async (knownDiffId?: DiffId): Promise<number> => {
        const before = createHash.mock.callCount()
        await buffer(open(blob, noise, { knownDiffId }).stream)
        return createHash.mock.callCount() - before
      }
      assert.deepEqual([await hashes(), await hashes(parseDiffId(digestOf(noise)))], [2, 1])
    } finally {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    }
  })

  it('refuses a diff ID that is not the known one before it reads anything', async () => {
    const knownDiffId = parseDiffId(digestOf(hello))
    const { stream, source } = open(gzipOf(noise), noise, { knownDiffId })
    await assert.rejects(buffer(stream), { name: 'DomainError', code: 'digest_mismatch' })
    assert.equal(source.destroyed, true)
  })

  it('destroys its source when it is destroyed, and ends with an error when the source does', async () => {
    const waiting = open(gzipOf(noise), noise)
    waiting.stream.destroy()
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(waiting.source.destroyed, true)

    const failing = open(gzipOf(noise), noise)
    failing.source.destroy(new Error('the network is gone'))
    await assert.rejects(buffer(failing.stream), /the network is gone/)
  })
})
