import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  base256,
  dir,
  fifo,
  file,
  gnu,
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
import { type Seen, read } from './read.ts'

const sizeOffset = 124

/** What comes out, by the properties that matter, or the code of the refusal. */
type Outcome = readonly Partial<Seen>[] | 'invalid' | 'unsupported'

/**
 * Where tar-stream and Go's archive/tar see different entries in the same bytes. We see Go's, or refuse what no
 * builder writes. In the reference these are the rows 1 to 17 of "tar-stream versus Go archive/tar".
 */
const differences: readonly (readonly [what: string, bytes: Uint8Array, outcome: Outcome])[] = [
  [
    '1: entries after the end-of-archive are none',
    Buffer.concat([tar(file('a')), tar(file('evil'))]),
    [{ path: 'a' }],
  ],
  ['2: one block of zeros, then an entry', Buffer.concat([file('a'), zeroBlock, tar(file('b'))]), 'invalid'],
  [
    '3: junk after the end-of-archive is nothing',
    Buffer.concat([tar(file('a')), Buffer.alloc(1000, 'junk')]),
    [{ path: 'a' }],
  ],
  ['4: a header of v7', tar(v7(file('a', 'x'))), [{ path: 'a', content: 'x' }]],
  ['5: a file whose name ends in / is a directory', tar(file('d/')), [{ type: 'directory', path: 'd' }]],
  ...[hardlink('h', 'a'), symlink('l', 'a'), fifo('p'), dir('d')].map(
    (entry, index) =>
      [
        `${index < 3 ? 6 : 7}: content after a header that has none (${'hlpd'[index]})`,
        Buffer.concat([patched(entry, sizeOffset, '00000001000\0'), tar(file('evil'))]),
        'invalid',
      ] as const,
  ),
  [
    '8: a global header applies to nothing, least of all through a PAX header',
    tar(pax({ path: 'evil', size: '512' }, 'g'), file('a', 'x', { pax: { mtime: '5' } })),
    [{ path: 'a', content: 'x', mtime: 5 }],
  ],
  [
    '9: owner and time of a PAX header apply',
    tar(file('a', '', { pax: { uid: '3000000', gid: '3000001', mtime: '1.5', uname: 'u' } })),
    [{ uid: 3_000_000, gid: 3_000_001, mtime: 1.5 }],
  ],
  [
    '10: a PAX record of the wrong length',
    tar(paxBytes(Buffer.from('99 path=evil\n')), file('a')),
    'invalid',
  ],
  ['11: a PAX size that is not a number', tar(file('a', 'x', { pax: { size: '1x' } })), 'invalid'],
  [
    '12: PAX values are bytes',
    tar(
      file('a', '', {
        pax: { path: Buffer.from([0xe9, 0x80]), 'SCHILY.xattr.user.x': Buffer.from([0, 0x80, 0xff]) },
      }),
    ),
    [{ path: '\xe9\x80', xattrs: [{ name: 'user.x', value: Buffer.from([0, 0x80, 0xff]) }] }],
  ],
  [
    "13: star's prefix has 131 bytes, and its times come after it",
    tar(star('prefix', file('a', 'x', { mtime: 7 }))),
    [{ path: 'prefix/a', content: 'x', mtime: 7 }],
  ],
  [
    '14: a signed checksum',
    tar(signed(file(Buffer.from([0xe9, 0xff]), 'x'))),
    [{ path: '\xe9\xff', content: 'x' }],
  ],
  [
    '15: a base-256 number with an odd first byte',
    tar(
      patched(file('a', 'x'), sizeOffset, Buffer.concat([Buffer.from([0x81]), base256(1, 11).fill(0, 0, 1)])),
    ),
    'invalid',
  ],
  ...'DVMNAZ?'
    .split('')
    .map(type => [`16: the type ${type}`, tar(gnu(plainHeader(type, 'a'))), 'unsupported'] as const),
  ['17: NUL in a PAX path', tar(file('a', '', { pax: { path: 'a\0b' } })), 'invalid'],
]

describe('where readers of tar differ', { timeout: 60_000 }, () => {
  for (const [what, bytes, outcome] of differences)
    it(what, { timeout: 10_000 }, async () => {
      for (const pieceBytes of [bytes.length, 300]) {
        if (typeof outcome === 'string')
          await assert.rejects(read(bytes, pieceBytes), { name: 'DomainError', code: outcome })
        else {
          const seen = await read(bytes, pieceBytes)
          assert.equal(seen.length, outcome.length)
          for (const [index, expected] of outcome.entries())
            assert.partialDeepStrictEqual(seen[index], expected)
        }
      }
    })

  it('there is a test of each of the 17', () => {
    const rows = new Set(differences.map(([what]) => Number.parseInt(what, 10)))
    assert.deepEqual(
      [...rows].sort((a, b) => a - b),
      Array.from({ length: 17 }, (_, index) => index + 1),
    )
  })
})

/** In the format of Schily's tar: times of access and change where ustar has the end of the prefix. */
function star(prefix: string, entry: Uint8Array): Buffer {
  const times = '00000000001 00000000002 '
  return [
    [345, prefix],
    [476, times],
    [508, 'tar\0'],
  ].reduce<Buffer>(
    (bytes, [offset, text]) => patched(bytes, Number(offset), String(text)),
    Buffer.from(entry),
  )
}

/** With the checksum that Sun's tar wrote: of signed bytes. */
function signed(entry: Uint8Array): Buffer {
  const bytes = Buffer.from(entry)
  bytes.fill(' ', 148, 156)
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}
