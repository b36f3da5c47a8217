import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import type { LayerEntry } from '../../../../src/importer/layer/entry.ts'
import { joinPath } from '../../../../src/importer/layer/entry-path.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries } from '../../../../src/importer/layer/tar/read-entries.ts'
import {
  dir,
  endOfArchive,
  fifo,
  file,
  gnuLong,
  hardlink,
  patched,
  pax,
  paxBytes,
  plainHeader,
  symlink,
  tar,
  zeroBlock,
} from '../../../support/tar.ts'

interface Seen {
  readonly type: LayerEntry['type']
  readonly path: string
  readonly content?: string
  readonly [key: string]: unknown
}

async function read(bytes: Uint8Array, pieceBytes = bytes.length): Promise<Seen[]> {
  const seen: Seen[] = []
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, index) =>
    bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  )
  for await (const entry of readEntries(Readable.from(pieces), { limits: defaultLayerLimits })) {
    const path = joinPath(entry.path)
    if (entry.type !== 'file') {
      seen.push({ ...entry, path })
      continue
    }
    const { body, ...rest } = entry
    const content: Uint8Array[] = []
    for await (const chunk of body) content.push(chunk)
    seen.push({ ...rest, path, content: Buffer.concat(content).toString() })
  }
  return seen
}

const names = async (bytes: Uint8Array): Promise<string[]> => (await read(bytes)).map(({ path }) => path)

const sizeOffset = 124
const base256 = (first: number, length: number, value: number): Buffer => {
  const bytes = Buffer.alloc(length)
  bytes.writeUIntBE(value, length - 6, 6)
  bytes[0] = first
  return bytes
}

describe('readEntries', { timeout: 60_000 }, () => {
  it('reads every kind, whatever the pieces', async () => {
    const bytes = tar(
      dir('etc/', { mode: 0o1777, uid: 1, gid: 2, mtime: 3 }),
      file('etc/a', 'x'.repeat(1000), { mode: 0o4755 }),
      symlink('l', '/etc'),
      hardlink('h', '/etc/a'),
      fifo('p'),
    )
    for (const pieceBytes of [1, 511, 512, 700, bytes.length]) {
      const seen = await read(bytes, pieceBytes)
      assert.deepEqual(
        seen.map(({ type, path }) => [type, path]),
        [
          ['directory', 'etc'],
          ['file', 'etc/a'],
          ['symlink', 'l'],
          ['hardlink', 'h'],
          ['fifo', 'p'],
        ],
      )
      assert.deepEqual(seen[0], {
        type: 'directory',
        path: 'etc',
        mode: 0o1777,
        uid: 1,
        gid: 2,
        mtime: 3,
        xattrs: 0,
      })
      assert.equal(seen[1]?.content, 'x'.repeat(1000))
      assert.equal(seen[1]?.['mode'], 0o4755)
      assert.deepEqual(seen[3], { type: 'hardlink', path: 'h', target: ['etc', 'a'] })
    }
  })

  it('skips content that nobody reads', async () => {
    const stream = Readable.from([tar(file('a', 'x'.repeat(100_000)), file('b'))])
    const seen: string[] = []
    for await (const { path } of readEntries(stream, { limits: defaultLayerLimits }))
      seen.push(joinPath(path))
    assert.deepEqual(seen, ['a', 'b'])
  })

  it('takes an empty stream for an empty layer', async () =>
    assert.deepEqual(await read(Buffer.alloc(0)), []))
  it('takes a missing end-of-archive', async () => assert.deepEqual(await names(file('a', 'x')), ['a']))

  it('applies owner and time of PAX headers', async () => {
    const [entry] = await read(tar(file('a', '', { uid: 4_294_967_294, gid: 2_097_152, mtime: 1.5 })))
    assert.deepEqual([entry?.['uid'], entry?.['gid'], entry?.['mtime']], [4_294_967_294, 2_097_152, 1.5])
  })

  it('reads owners in base-256 (S-24)', async () => {
    const [entry] = await read(tar(patched(file('a'), 108, base256(0x80, 8, 2_097_152))))
    assert.equal(entry?.['uid'], 2_097_152)
  })

  for (const [mtime, expected] of [
    ['-1', 0],
    ['8589934592', 2 ** 33],
    ['1e18', undefined],
    ['NaN', undefined],
    ['1000000000000000000', 0],
    ['1.999999999', 1.999999999],
  ] as const)
    it(`S-25: the time ${mtime}`, async () => {
      const bytes = tar(file('a', '', { pax: { mtime } }))
      if (expected === undefined)
        await assert.rejects(read(bytes), { code: 'invalid', message: /the time of "a"/ })
      else assert.equal((await read(bytes))[0]?.['mtime'], expected)
    })

  it('S-25: a time in base-256 that no Date holds', async () =>
    assert.equal((await read(tar(patched(file('a'), 136, base256(0x80, 12, 2 ** 47)))))[0]?.['mtime'], 0))

  it('S-27: keeps names that are not UTF-8, each its own', async () =>
    assert.deepEqual(await names(tar(file(Buffer.from([0xe9])), file(Buffer.from([0xff])))), [
      '\xe9',
      '\xff',
    ]))

  it('S-27: takes long names of PAX and of GNU', async () => {
    const long = `${'d/'.repeat(100)}f`
    assert.deepEqual(await names(tar(file(long), gnuLong('L', `g/${long}`), file('short'))), [
      long,
      `g/${long}`,
    ])
  })

  it('S-27: takes odd but sound names', async () => {
    const odd = ['new\nline', 'back\\slash', 'é', 'e\u0301', 'a'.repeat(255)]
    const expected = odd.map(name => Buffer.from(name).toString('latin1'))
    assert.deepEqual(await names(tar(...odd.map(name => file(name)))), expected)
  })

  it('takes an empty file whose name ends in / for a directory', async () =>
    assert.deepEqual((await read(tar(file('d/'))))[0]?.type, 'directory'))

  it('reads extended attributes, the empty ones too', async () => {
    const records = { 'SCHILY.xattr.user.a': '1', 'SCHILY.xattr.user.overlay.origin': '', comment: 'c' }
    assert.deepEqual((await read(tar(file('a', '', { pax: records }))))[0]?.['xattrs'], [
      { name: 'user.a', value: Buffer.from('1') },
      { name: 'user.overlay.origin', value: Buffer.alloc(0) },
    ])
  })

  it('R20: applies a global PAX header to nothing', async () => {
    const bytes = tar(
      pax({ path: 'evil', size: '512', uid: '7' }, 'g'),
      file('a', 'x', { pax: { mtime: '1' } }),
      file('b'),
    )
    assert.deepEqual(
      (await read(bytes)).map(({ path, uid }) => [path, uid]),
      [
        ['a', 0],
        ['b', 0],
      ],
    )
  })

  it('S-31: reads nothing after the end-of-archive but reads it away', async () => {
    for (const rest of [file('evil'), Buffer.from('junk'), Buffer.alloc(512, 1), Buffer.alloc(3_000_000)])
      assert.deepEqual(await names(Buffer.concat([tar(file('a')), rest])), ['a'])
  })

  const unsound: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['S-3: ..', tar(file('../pwn'))],
    ['S-3: /..', tar(file('/../pwn'))],
    ['S-3: .. in the middle', tar(file('a/../../pwn'))],
    ['S-3: only ..', tar(dir('..'))],
    ['S-12: a hard link through ..', tar(hardlink('h', 'd/../../..'))],
    ['S-24: uid 4294967295', tar(file('a', '', { uid: 4_294_967_295 }))],
    ['S-24: a negative uid', tar(file('a', '', { pax: { uid: '-1' } }))],
    ['S-24: a negative uid in base-256', tar(patched(file('a'), 108, Buffer.alloc(8, 0xff)))],
    ['S-24: a uid that is no number', tar(file('a', '', { pax: { uid: '1x' } }))],
    ['S-27: NUL in a PAX path', tar(file('a', '', { pax: { path: 'a\0b' } }))],
    ['S-27: a component of 256 bytes', tar(file('a'.repeat(256)))],
    ['S-27: a path of 5000 bytes', tar(file('a/'.repeat(2500)))],
    [
      'S-28: a size in base-256 with an odd first byte',
      tar(patched(file('a'), sizeOffset, base256(0x81, 12, 1))),
    ],
    ['S-28: a negative size', tar(patched(file('a'), sizeOffset, Buffer.alloc(12, 0xff)))],
    ['S-28: a size beyond 2^53', tar(patched(file('a'), sizeOffset, Buffer.alloc(12, 0x80)))],
    ['S-28: the PAX size -1', tar(file('a', '', { pax: { size: '-1' } }))],
    ['S-28: the PAX size abc', tar(file('a', '', { pax: { size: 'abc' } }))],
    ['S-28: the PAX size 5x', tar(file('a', '', { pax: { size: '5x' } }))],
    ['S-28: the PAX size 2^63', tar(file('a', '', { pax: { size: String(2n ** 63n) } }))],
    ['S-28: a size larger than the stream', tar(plainHeader('0', 'a', { size: 1_000_000 }))],
    [
      'S-29: a hard link with content',
      Buffer.concat([plainHeader('1', 'h', { size: 512, target: 'a' }), tar(file('evil'))]),
    ],
    [
      'S-29: a symlink with content',
      Buffer.concat([plainHeader('2', 'l', { size: 512, target: 'a' }), tar(file('evil'))]),
    ],
    ['S-29: a FIFO with content', Buffer.concat([plainHeader('6', 'p', { size: 512 }), tar(file('evil'))])],
    [
      'S-29: a directory with content',
      Buffer.concat([plainHeader('5', 'd', { size: 512 }), tar(file('evil'))]),
    ],
    ['S-29: a directory with content by PAX', tar(dir('d', { pax: { size: '512' } }), file('evil'))],
    ['S-30: two PAX headers', tar(pax({ path: 'a' }), pax({ mtime: '1' }), file('b'))],
    ['S-30: a PAX header at the end', tar(pax({ path: 'a' }))],
    ['S-30: a PAX header at the end of the stream', pax({ path: 'a' })],
    [
      'S-31: a single block of zeros between entries',
      Buffer.concat([file('a'), zeroBlock, file('b'), endOfArchive]),
    ],
    [
      'S-35: 5000 levels',
      tar(...Array.from({ length: 3 }, (_, depth) => dir('a/'.repeat(1000 * (depth + 1))))),
    ],
    ['more than 256 components', tar(dir('a/'.repeat(257)))],
    ['a broken checksum', tar(Buffer.from(file('a')).fill('9', 148, 149))],
    ['a size that is not octal', tar(patched(file('a'), sizeOffset, '0000000009a\0'))],
    ['a PAX record with a wrong length', tar(paxBytes(Buffer.from('99 path=evil\n')), file('a'))],
    ['a PAX record without a length', tar(paxBytes(Buffer.from('path=evil\n')), file('a'))],
    ['a PAX record without a newline', tar(paxBytes(Buffer.from('8 path=x')), file('a'))],
    ['a stream that ends in a header', tar(file('a')).subarray(0, 300)],
    ['a stream that ends in content', tar(file('a', 'x'.repeat(2000))).subarray(0, 1500)],
    ['a directory by its name with content', tar(file('d/', 'x'))],
    ['a symlink without a target', tar(symlink('l', ''))],
    ['a PAX header without content', tar(paxBytes(Buffer.alloc(0)), file('a'))],
  ]
  for (const [what, bytes] of unsound)
    it(`refuses ${what}`, { timeout: 10_000 }, async () => {
      for (const pieceBytes of [bytes.length, 600])
        await assert.rejects(read(bytes, pieceBytes), { name: 'DomainError', code: 'invalid' })
    })

  const unread: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['S-22, S-32: type S', tar(plainHeader('S', 'a'))],
    ['an unknown type', tar(plainHeader('V', 'a'))],
    ['a PAX sparse file', tar(file('a', '', { pax: { 'GNU.sparse.major': '1' } }))],
    ['star, whose prefix others read with its times', tar(patched(file('a'), 508, 'tar\0'))],
    ['an unknown format', tar(patched(file('a'), 257, 'mytar\x0000'))],
    ['S-27: a PAX path that is not UTF-8', tar(file('a', '', { pax: { path: Buffer.from([0xe9]) } }))],
  ]
  for (const [what, bytes] of unread)
    it(`does not support ${what}`, { timeout: 10_000 }, async () => {
      await assert.rejects(read(bytes), { name: 'DomainError', code: 'unsupported' })
    })

  it('S-32: refuses a PAX header of 5 MiB', async () =>
    assert.rejects(read(tar(pax({ comment: 'x'.repeat(5 * 1024 * 1024) }), file('a'))), {
      code: 'too_large',
    }))

  it('takes headers of v7 and of GNU', async () => {
    const v7 = patched(file('old'), 257, Buffer.alloc(8))
    assert.deepEqual(await names(tar(v7, patched(file('gnu'), 257, 'ustar  \0'))), ['old', 'gnu'])
  })

  it('hands a failure of the stream on as it is, and destroys the stream when left early', async () => {
    const failure = new Error('the network is gone')
    const failing = Readable.from(
      (async function* () {
        yield file('a')
        throw failure
      })(),
    )
    await assert.rejects(Array.fromAsync(readEntries(failing, { limits: defaultLayerLimits })), failure)

    const endless = new Readable({ read() {} })
    endless.push(Buffer.concat([file('a'), file('b')]))
    for await (const _ of readEntries(endless, { limits: defaultLayerLimits })) break
    assert.equal(endless.destroyed, true)
  })
})
