/** S-28 to S-32 of layers.md 2.C: archives that readers disagree about, or that cost too much. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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
import { type Attack, refused, refusedUntouched, stays } from './attack.ts'
import { endless, tarField, withNumber } from './odd-tar.ts'

const [sizeOffset] = tarField.size
const evil = file('evil', 'pwned')
const withPaxSize = (size: string): Buffer => tar(pax({ size }), file('f', 'content'), file('g'))

const sizes: readonly (readonly [what: string, layer: Buffer])[] = [
  [
    'a base-256 size that begins with 0x81',
    tar(patched(file('f'), sizeOffset, Buffer.from('8100'.padEnd(24, '0'), 'hex'))),
  ],
  ['a base-256 size of -1', tar(withNumber(file('f'), 'size', -1n))],
  ['a base-256 size of 2^63', tar(withNumber(file('f'), 'size', 2n ** 63n))],
  ['a base-256 size of 2^53', tar(withNumber(file('f'), 'size', 2n ** 53n))],
  ['an octal size with a sign', tar(patched(file('f'), sizeOffset, '-0000000001\0'))],
  ['an octal size with an 8', tar(patched(file('f'), sizeOffset, '00000000008\0'))],
  ['a PAX size of -1', withPaxSize('-1')],
  ['a PAX size of abc', withPaxSize('abc')],
  ['a PAX size of 5x', withPaxSize('5x')],
  ['a PAX size of 0x5', withPaxSize('0x5')],
  ['a PAX size of 2^63', withPaxSize(String(2n ** 63n))],
  ['a size larger than what follows', tar(plainHeader('0', 'f', { size: 1_000_000 }), Buffer.alloc(512))],
  ['a PAX size larger than what follows', tar(pax({ size: '1000000' }), file('f', 'content'))],
]

const smuggled = (entry: Buffer): Buffer => tar(patched(entry, sizeOffset, '00000001000\0'), evil)
const paxSmuggled = (entry: Buffer): Buffer => tar(pax({ size: '512' }), entry, evil)

const headerOnly: readonly (readonly [what: string, entry: Buffer])[] = [
  ['a hard link', hardlink('x', 'lower')],
  ['a symlink', symlink('x', 'lower')],
  ['a FIFO', fifo('x')],
  ['a directory', dir('x')],
  ['a device', plainHeader('3', 'x')],
  ['a file that is a directory by its name', file('x/')],
]

/** Headers of GNU's old sparse form, each saying that one more follows: with 21 places of no bytes, and with none. */
const sparseHeader = patched(patched(plainHeader('S', 'f'), 257, 'ustar  \0'), 482, '\u0001')
const emptyExtension = Buffer.alloc(512)
emptyExtension[504] = 1
const fullExtension = Buffer.from(emptyExtension)
fullExtension.write('00000000000\0'.repeat(42), 'latin1')
const manyOf = (block: Buffer): Buffer => Buffer.concat(Array<Buffer>(2048).fill(block))

const mebibyte = 1024 * 1024
/** What one layer may add to this process's memory, the collector's slack included. */
const flatBytes = 192 * mebibyte

/** Runs an attack and checks that memory stayed flat meanwhile. */
function flat(attack: Attack): Attack {
  let before = 0
  const [first, ...rest] = attack.layers
  if (first === undefined) throw new Error('an attack has at least one layer')
  return {
    ...attack,
    layers: [
      sandbox => {
        before = process.memoryUsage().rss
        return first instanceof Uint8Array ? first : first(sandbox)
      },
      ...rest,
    ],
    check: async (sandbox, report) => {
      const grown = process.memoryUsage().rss - before
      assert.ok(grown < flatBytes, `memory grew by ${Math.round(grown / mebibyte)} MiB`)
      await attack.check?.(sandbox, report)
    },
  }
}

export const archiveAttacks: readonly Attack[] = [
  ...sizes.map(([what, layer]) => refused(`S-28: ${what}`, layer)),
  ...headerOnly.flatMap(([what, entry]) => [
    refusedUntouched(
      `S-29: ${what} with a header as its body`,
      [tar(file('lower')), smuggled(entry)],
      ['lower'],
    ),
    refusedUntouched(
      `S-29: ${what} with a header as its body, by PAX`,
      [tar(file('lower')), paxSmuggled(entry)],
      ['lower'],
    ),
  ]),
  stays(
    'S-30: the size is that of the PAX header, so an archive in a file is content (CVE-2025-62518)',
    tar(pax({ size: String(tar(evil).length) }), plainHeader('0', 'outer'), tar(evil)),
    ['outer'],
    ({ rootfs }) => assert.deepEqual(readFileSync(join(rootfs, 'outer')), tar(evil)),
  ),
  stays(
    'S-30: a PAX size of 0 before a file with content in the header: the content is read as headers',
    tar(pax({ size: '0' }), patched(file('outer'), sizeOffset, '00000002000\0'), file('inner')),
    ['inner', 'outer'],
  ),
  // Readers apply the size to the long name, or to the file, or prefer one of the names.
  refused(
    'S-30: a PAX header and a long name for one entry',
    tar(pax({ size: '512' }), gnuLong('L', 'long'), plainHeader('0', 'short'), evil.subarray(0, 512)),
  ),
  stays(
    'S-30: of two PAX headers for one entry the later one counts',
    tar(pax({ path: 'evil', mtime: '1' }), pax({ path: 'f' }), file('x')),
    ['f'],
    sandbox => assert.equal(sandbox.tree().get('f')?.mtime, 0n),
  ),
  stays(
    'S-30: a global header renames nothing, and resizes nothing',
    tar(pax({ path: 'evil', size: '512', linkpath: 'evil' }, 'g'), pax({ mtime: '5' }), file('f', 'content')),
    ['f'],
    ({ rootfs }) => assert.equal(readFileSync(join(rootfs, 'f'), 'utf8'), 'content'),
  ),
  refused(
    'S-30: a global header between a PAX header and its entry',
    tar(pax({ path: 'f' }), pax({ path: 'evil' }, 'g'), file('x')),
  ),
  refused('S-30: a PAX header at the end', Buffer.concat([file('f'), pax({ path: 'g' })])),
  refused('S-30: a PAX header before the end of the archive', tar(file('f'), pax({ path: 'g' }))),
  refused('S-30: a long name at the end', tar(file('f'), gnuLong('L', 'g'))),
  refused(
    'S-30: a PAX record that is longer than its header',
    tar(paxBytes(Buffer.from('99 path=x\n')), file('f')),
  ),
  refused(
    'S-30: a PAX record without its length (CVE-2025-62518 of other readers)',
    tar(paxBytes(Buffer.from('path=evil\n')), file('f')),
  ),
  stays('S-31: entries after the end of the archive', Buffer.concat([tar(file('a')), evil, endOfArchive]), [
    'a',
  ]),
  refused(
    'S-31: a single block of zeros between entries',
    Buffer.concat([file('a'), zeroBlock, evil, endOfArchive]),
  ),
  ...[100, 512, 100_000].map(length =>
    stays(
      `S-31: ${length} bytes of junk after the end of the archive`,
      Buffer.concat([tar(file('a')), Buffer.alloc(length, 'junk')]),
      ['a'],
    ),
  ),
  flat(
    stays(
      'S-31: 2 GiB of zeros after the end of the archive (CVE-2017-14992)',
      () => endless(tar(file('a')), Buffer.alloc(mebibyte), 2048, Buffer.alloc(0)),
      ['a'],
    ),
  ),
  flat(
    stays(
      'S-31: 256 MiB of zeros in a file',
      () =>
        endless(plainHeader('0', 'a', { size: 256 * mebibyte }), Buffer.alloc(mebibyte), 256, endOfArchive),
      undefined,
      (_, report) => assert.equal(report?.bytes, 256 * mebibyte),
    ),
  ),
  refused(
    'S-32: a PAX header of 5 MiB',
    tar(pax({ comment: 'x'.repeat(5 * mebibyte) }), file('f')),
    'too_large',
  ),
  flat(
    refused(
      'S-32: a PAX header that says it has 8 GiB (CVE-2022-2879)',
      () =>
        endless(
          plainHeader('x', 'x', { size: 8 * 1024 * mebibyte - 1 }),
          Buffer.alloc(mebibyte, 'x'),
          64,
          Buffer.alloc(0),
        ),
      'too_large',
    ),
  ),
  refused('S-32: a long name of 5 MiB', tar(gnuLong('L', 'x'.repeat(5 * mebibyte)), file('f')), 'too_large'),
  flat({
    title: 'S-32: 1,000,000 PAX headers with no entry',
    layers: [
      () =>
        endless(
          Buffer.alloc(0),
          Buffer.concat(Array<Buffer>(1000).fill(pax({ mtime: '1' }))),
          1000,
          endOfArchive,
        ),
    ],
    outcome: 'too_large',
  }),
  flat({
    title: 'S-32: a PAX header with 100,000 records',
    layers: [
      tar(
        paxBytes(Buffer.from(Array.from({ length: 100_000 }, (_, index) => paxRecord(`k${index}`)).join(''))),
        file('f'),
      ),
    ],
    outcome: 'too_large',
  }),
  flat(
    refused(
      'S-32: a map of 10^7 pieces in a sparse file (CVE-2025-58183)',
      () =>
        endless(
          Buffer.concat([
            pax({
              'GNU.sparse.major': '1',
              'GNU.sparse.minor': '0',
              'GNU.sparse.name': 'f',
              'GNU.sparse.realsize': '1',
            }),
            plainHeader('0', 'f', { size: 20 * mebibyte * 2 }),
            Buffer.from('10000000\n'.padEnd(512, '0\n')),
          ]),
          Buffer.alloc(mebibyte, '\n0'),
          40,
          endOfArchive,
        ),
      'too_large',
    ),
  ),
  flat(
    refused(
      'S-32: a sparse file of the old form whose map has no end',
      () => endless(sparseHeader, manyOf(fullExtension), 512, endOfArchive),
      'too_large',
    ),
  ),
  flat(
    stays(
      'S-32: such a file with a map of 512 MiB that says nothing',
      () => endless(sparseHeader, manyOf(emptyExtension), 512, endOfArchive),
      ['f'],
    ),
  ),
]

function paxRecord(key: string): string {
  const rest = ` ${key}=v\n`
  const length = rest.length + 2
  return `${length}${rest}`
}
