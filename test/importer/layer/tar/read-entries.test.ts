import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { joinPath } from '../../../../src/importer/layer/entry-path.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries } from '../../../../src/importer/layer/tar/read-entries.ts'
import {
  base256,
  dir,
  endOfArchive,
  fifo,
  file,
  gnu,
  gnuLong,
  hardlink,
  patched,
  pax,
  paxBytes,
  plainHeader,
  symlink,
  tar,
  v7,
  zeroBlock,
} from '../../../support/tar.ts'
import { inPieces, names, read, see } from './read.ts'

const sizeOffset = 124
/** In seconds: where 64 bits of nanoseconds end. */
const lastTime = 9_223_372_036
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
        xattrs: [],
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
    const [entry] = await read(tar(patched(file('a'), 108, base256(2_097_152, 8))))
    assert.equal(entry?.['uid'], 2_097_152)
  })

  for (const [mtime, expected] of [
    ['-1', 0],
    ['8589934592', 2 ** 33],
    ['1e18', undefined],
    ['NaN', undefined],
    ['1000000000000000000', lastTime],
    ['9223372036854775808', undefined],
    ['1.999999999', 1.999999999],
    ['-0.5', 0],
    ['+1', undefined],
    ['', undefined],
  ] as const)
    it(`S-25: the time ${mtime === '' ? 'is empty' : mtime}`, async () => {
      const bytes = tar(file('a', '', { pax: { mtime } }))
      if (expected === undefined) await assert.rejects(read(bytes), { code: 'invalid', message: /mtime/ })
      else {
        const [entry] = await read(bytes)
        assert.equal(entry?.['mtime'], expected)
        assert.equal(entry?.['clampedTime'], expected === Number(mtime) ? undefined : true)
      }
    })

  for (const [what, mtime, expected] of [
    ['that no Date holds', 2 ** 47, lastTime],
    ['before 1970', -1, 0],
  ] as const)
    it(`S-25: a time in base-256 ${what}`, async () => {
      const [entry] = await read(tar(patched(file('a'), 136, base256(mtime, 12))))
      assert.deepEqual([entry?.['mtime'], entry?.['clampedTime']], [expected, true])
    })

  it('S-25: no time', async () =>
    assert.equal((await read(tar(patched(file('a'), 136, Buffer.alloc(12)))))[0]?.['mtime'], 0))

  it('S-27: keeps names that are not UTF-8, each its own', async () =>
    assert.deepEqual(await names(tar(file(Buffer.from([0xe9])), file(Buffer.from([0xff])))), [
      '\xe9',
      '\xff',
    ]))

  it('S-27: keeps PAX paths and targets that are not UTF-8, each its own', async () => {
    const [one, other] = [Buffer.from([0xe9]), Buffer.from([0xff, 0xfe])]
    const entries = await read(
      tar(
        file('a', '', { pax: { path: one } }),
        file('a', '', { pax: { path: other } }),
        symlink('l', 'a', { pax: { linkpath: other } }),
      ),
    )
    assert.deepEqual(
      entries.map(({ path, target }) => [path, target]),
      [
        ['\xe9', undefined],
        ['\xff\xfe', undefined],
        ['l', '\xff\xfe'],
      ],
    )
  })

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

  it('S-26: keeps the bytes of extended attributes', async () => {
    const capability = Buffer.from('0100000280000000000000000000000000000000', 'hex')
    const records = {
      'SCHILY.xattr.security.capability': capability,
      'SCHILY.xattr.user.a=b': 'cut at the first =',
      'SCHILY.xattr.trusted.overlay.opaque': 'y',
      'SCHILY.xattr.security.selinux': 'unconfined_u:object_r:default_t:s0\0',
      'LIBARCHIVE.xattr.security.capability': 'AQAAAg',
    }
    const expected = [
      { name: 'security.capability', value: capability },
      { name: 'user.a', value: Buffer.from('b=cut at the first =') },
      { name: 'trusted.overlay.opaque', value: Buffer.from('y') },
      { name: 'security.selinux', value: Buffer.from('unconfined_u:object_r:default_t:s0\0') },
    ]
    for (const entry of [
      file('a', 'x', { pax: records }),
      dir('d', { pax: records }),
      symlink('l', 'a', { pax: records }),
    ])
      assert.deepEqual((await read(tar(entry), 700))[0]?.['xattrs'], expected)
  })

  it('R20: applies a global PAX header to nothing, and tells of it', async () => {
    const keys: (readonly string[])[] = []
    const onGlobalHeader = (found: readonly string[]): void => void keys.push(found)
    const bytes = tar(
      pax({ path: 'evil', size: '512', uid: '7' }, 'g'),
      file('a', 'x', { pax: { mtime: '1' } }),
      file('b'),
    )
    assert.deepEqual(
      (await read(bytes, 600, { onGlobalHeader })).map(({ path, uid }) => [path, uid]),
      [
        ['a', 0],
        ['b', 0],
      ],
    )
    assert.deepEqual(keys, [['path', 'size', 'uid']])
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
      tar(patched(file('a'), sizeOffset, Buffer.from('81'.padEnd(24, '0'), 'hex'))),
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
    ['S-24: a gid with a sign', tar(file('a', '', { pax: { gid: '+5' } }))],
    ['an owner with NULs before its digits', tar(patched(file('a'), 108, '\x00000007\0'))],
    ['an owner with something after its end', tar(patched(file('a'), 108, '00007\x007\0'))],
    ['a device number that is not one', tar(patched(file('a'), 329, 'x'))],
    ['a negative mode', tar(patched(file('a'), 100, base256(-1, 8)))],
    ['a time beyond 64 bits', tar(patched(file('a'), 136, Buffer.from('817'.padEnd(24, '0'), 'hex')))],
    ['S-30: a PAX header and a long name', tar(pax({ size: '1' }), gnuLong('L', 'a'), file('b', 'x'))],
    ['S-30: a long name and a PAX header', tar(gnuLong('L', 'a'), pax({ path: 'c' }), file('b'))],
    ['S-30: a global header behind a PAX header', tar(pax({ path: 'a' }), pax({}, 'g'), file('b'))],
    ['S-30: a long name at the end', tar(gnuLong('L', 'a'))],
    ['an empty long name', tar(gnuLong('L', ''), file('a'))],
    ['an empty PAX path', tar(file('a', '', { pax: { path: '' } }))],
    ['an empty PAX size', tar(file('a', '', { pax: { size: '' } }))],
    ['a broken global header', tar(paxBytes(Buffer.from('9 a=b\n'), 'g'), file('a'))],
    ['NUL in a PAX key', tar(file('a', '', { pax: { 'SCHILY.xattr.a\0b': 'c' } }))],
    ['NUL in a PAX group', tar(file('a', '', { pax: { gname: 'a\0b' } }))],
    ['a PAX record with zeros before its length', tar(paxBytes(Buffer.from('009 a=bc\n')), file('a'))],
    ['a PAX record without a key', tar(paxBytes(Buffer.from('5 =b\n')), file('a'))],
    ['a PAX record without a value', tar(paxBytes(Buffer.from('5 ab\n')), file('a'))],
    ['an extended attribute without a name', tar(file('a', '', { pax: { 'SCHILY.xattr.': 'c' } }))],
    ['a symlink with a target of 5000 bytes', tar(symlink('l', 'a'.repeat(5000)))],
    ['a hard link without a target', tar(hardlink('h', ''))],
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
  ]
  for (const [what, bytes] of unsound)
    it(`refuses ${what}`, { timeout: 10_000 }, async () => {
      for (const pieceBytes of [bytes.length, 600])
        await assert.rejects(read(bytes, pieceBytes), { name: 'DomainError', code: 'invalid' })
    })

  const unread: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['S-22: type S in a format that has no such type', tar(plainHeader('S', 'a'))],
    ['an unknown type', tar(plainHeader('V', 'a'))],
    ['a directory of an incremental backup', tar(gnu(plainHeader('D', 'a')))],
    ['an unknown format', tar(patched(file('a'), 257, 'mytar\x0000'))],
  ]
  for (const [what, bytes] of unread)
    it(`does not support ${what}`, { timeout: 10_000 }, async () => {
      await assert.rejects(read(bytes), { name: 'DomainError', code: 'unsupported' })
    })

  const tooLarge: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['S-32: a PAX header of 5 MiB', tar(pax({ comment: 'x'.repeat(5 * 1024 * 1024) }), file('a'))],
    ['S-32: a global header of 5 MiB', tar(pax({ comment: 'x'.repeat(5 * 1024 * 1024) }, 'g'), file('a'))],
    ['S-32: a long name of 5 MiB', tar(gnuLong('L', 'x'.repeat(5 * 1024 * 1024)), file('a'))],
    ['S-32: more than 16 PAX headers', tar(...Array.from({ length: 17 }, () => pax({ a: 'b' })), file('a'))],
    ['S-32: more than 16 global headers', tar(...Array.from({ length: 17 }, () => pax({ a: 'b' }, 'g')))],
    [
      'S-26: an extended attribute of 70 KiB',
      tar(file('a', '', { pax: { 'SCHILY.xattr.user.a': 'x'.repeat(70 * 1024) } })),
    ],
    [
      'S-26: more than 256 extended attributes',
      tar(
        file('a', '', {
          pax: Object.fromEntries(
            Array.from({ length: 257 }, (_, index) => [`SCHILY.xattr.user.${index}`, '']),
          ),
        }),
      ),
    ],
    ['a file that is larger than any layer', tar(patched(file('a'), sizeOffset, base256(2 ** 40, 12)))],
  ]
  for (const [what, bytes] of tooLarge)
    it(`refuses ${what}`, { timeout: 10_000 }, async () => {
      await assert.rejects(read(bytes, 65_536), { name: 'DomainError', code: 'too_large' })
    })

  it('takes headers of v7 and of GNU', async () => {
    assert.deepEqual(await names(tar(v7(file('old')), gnu(file('new')))), ['old', 'new'])
  })

  it('takes one block of zeros, padding that is missing and an empty PAX header', async () => {
    assert.deepEqual(await names(Buffer.concat([file('a'), zeroBlock])), ['a'])
    assert.deepEqual(await names(file('a', 'x').subarray(0, 600)), ['a'])
    assert.deepEqual(await names(tar(pax({}), file('a'))), ['a'])
  })

  it('yields the entries before what is wrong, however the stream is cut', async () => {
    const bytes = tar(file('a', 'x'), dir('b'), file('c', 'y'.repeat(20_000)), file('../pwn'))
    for (const pieceBytes of [bytes.length, 512, 333]) {
      const seen: string[] = []
      await assert.rejects(
        async () => {
          const stream = Readable.from(inPieces(bytes, pieceBytes))
          for await (const entry of readEntries(stream, { limits: defaultLayerLimits }))
            seen.push((await see(entry)).path)
        },
        { code: 'invalid' },
      )
      assert.deepEqual(seen, ['a', 'b', 'c'])
    }
  })

  it('goes on after content that was read in part', async () => {
    const stream = Readable.from(inPieces(tar(file('a', 'x'.repeat(200_000)), file('b', 'y')), 30_000))
    const seen: string[] = []
    for await (const entry of readEntries(stream, { limits: defaultLayerLimits })) {
      seen.push(joinPath(entry.path))
      if (entry.type === 'file') for await (const _ of entry.body) break
    }
    assert.deepEqual(seen, ['a', 'b'])
  })

  it('hands the pieces of content on as they came', async () => {
    const bytes = tar(file('a', 'x'.repeat(100_000)))
    for await (const entry of readEntries(Readable.from([bytes]), { limits: defaultLayerLimits }))
      if (entry.type === 'file')
        for await (const chunk of entry.body) assert.equal(chunk.buffer, bytes.buffer)
  })

  it('stops when told to, and leaves no listener', async () => {
    const abort = new AbortController()
    const endless = new Readable({ read() {} })
    endless.push(Buffer.concat([file('a', 'x'.repeat(1000)), file('b')]))
    await assert.rejects(
      async () => {
        for await (const _ of readEntries(endless, { limits: defaultLayerLimits, signal: abort.signal }))
          abort.abort()
      },
      { name: 'AbortError' },
    )
    assert.equal(endless.destroyed, true)
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
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
