import fc from 'fast-check'
import {
  base256,
  blockDevice,
  characterDevice,
  dir,
  endOfArchive,
  fifo,
  file,
  gnu,
  gnuLong,
  hardlink,
  oldSparse,
  patched,
  pax,
  paxBytes,
  plainHeader,
  record,
  sparseText,
  symlink,
  type TarOptions,
  v7,
  zeroBlock,
} from '../../../support/tar.ts'

/**
 * Archives as builders write them, and as nobody would: every kind of entry, in every format, with odd fields and
 * headers in odd places. Most can be read.
 */
export function archives(): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      fc.array(fc.oneof({ weight: 12, arbitrary: soundEntry }, { weight: 1, arbitrary: oddPart }), {
        maxLength: 6,
      }),
      ending,
    )
    .map(([parts, end]) => shown(Buffer.concat([...parts, end])))
}

/** In a counterexample: its blocks with all that is not NUL. */
function shown(archive: Buffer): Buffer {
  const blocks = Array.from({ length: Math.ceil(archive.length / 512) }, (_, index) => {
    const text = archive.toString('latin1', index * 512, (index + 1) * 512)
    return JSON.stringify(text.replace(/\0{2,}/g, nuls => `{${nuls.length}}`))
  })
  return Object.defineProperty(archive, fc.toStringMethod, { value: () => blocks.join('\n') })
}

/** Only what can be read, with what comes out: type, path and content. */
export function soundArchives(): fc.Arbitrary<Buffer> {
  return fc.array(soundEntry, { maxLength: 8 }).map(parts => shown(Buffer.concat([...parts, endOfArchive])))
}

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength, min: 1 }).map(array => Buffer.from(array))
const component = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'usr', '.', 'x'.repeat(99), 'y'.repeat(150), '\xe9') },
  { weight: 1, arbitrary: bytes(12).map(array => array.toString('latin1').replaceAll('/', '_')) },
)
const name = fc
  .tuple(
    fc.constantFrom('', './', '/'),
    fc.array(component, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '', '', '/'),
  )
  .map(([start, components, end]) => Buffer.from(`${start}${components.join('/')}${end}`, 'latin1'))
const plainName = name.map(bytes =>
  Buffer.from(bytes.toString('latin1').replace(/\/+$/, '') || 'a', 'latin1'),
)
/** That fits into a header. */
const shortName = plainName.map(bytes =>
  Buffer.from(bytes.toString('latin1', 0, 100).replace(/\/+$/, '') || 'a', 'latin1'),
)
const content = fc.oneof(
  fc.constantFrom('', 'x', 'x'.repeat(511), 'x'.repeat(512), 'x'.repeat(513), 'y'.repeat(20_000)),
  bytes(700),
)

const paxValue = fc.oneof(
  fc.constantFrom('', '0', '7', '-1', '5x', '+3', '1.5', ' 1', 'a\nb', '000012'),
  bytes(20),
)
const paxKey = fc.constantFrom(
  'mtime',
  'atime',
  'uid',
  'gid',
  'comment',
  'path',
  'linkpath',
  'SCHILY.xattr.user.a',
  'SCHILY.xattr.user.b',
  'LIBARCHIVE.xattr.user.a',
  'uname',
  'size',
)
const soundRecords = fc
  .tuple(
    fc.dictionary(
      fc.constantFrom('SCHILY.xattr.user.a', 'SCHILY.xattr.security.b', 'LIBARCHIVE.xattr.user.a', 'comment'),
      bytes(20),
      { maxKeys: 2 },
    ),
    fc.constantFrom({}, {}, { ctime: '1700000000.5' }),
  )
  .map(([records, times]) => ({ ...records, ...times }))
const options: fc.Arbitrary<TarOptions> = fc.record(
  {
    mode: fc.constantFrom(0, 0o644, 0o4755, 0o100644, 0o7777777),
    uid: fc.constantFrom(0, 1000, 2_097_151, 2_097_152, 4_294_967_294),
    gid: fc.constantFrom(0, 5, 3_000_000),
    mtime: fc.constantFrom(0, 1, 1_700_000_000, 1.25, -5, 8_589_934_591),
    pax: soundRecords,
  },
  { requiredKeys: [] },
)

const entry = fc.oneof(
  fc.tuple(plainName, content, options).map(args => file(...args)),
  fc.tuple(name, options).map(args => dir(...args)),
  fc.tuple(plainName, plainName, options).map(args => symlink(...args)),
  fc.tuple(plainName, plainName, options).map(args => hardlink(...args)),
  fc.tuple(plainName, options).map(args => fifo(...args)),
  fc.tuple(plainName, options).map(args => characterDevice(...args)),
  fc.tuple(plainName, options).map(args => blockDevice(...args)),
  fc.tuple(plainName, shortName).map(([long, own]) => Buffer.concat([gnuLong('L', long), file(own, 'x')])),
)

/** Ascending, with the size of the file and what is stored of it. */
const sparse = fc.array(fc.tuple(fc.nat(2000), fc.nat(700)), { maxLength: 40 }).map(gaps => {
  let end = 0
  const segments = gaps.map(([gap, length]) => {
    const offset = end + gap
    end = offset + length
    return [offset, length] as const
  })
  return {
    segments,
    size: end + 100,
    stored: Buffer.alloc(
      gaps.reduce((sum, [, length]) => sum + length, 0),
      'data',
    ),
  }
})
const sparseEntry = fc.oneof(
  fc
    .tuple(shortName, sparse)
    .map(([own, { segments, size, stored }]) => oldSparse(own, size, segments, stored)),
  fc.tuple(shortName, sparse).map(([own, { segments, size, stored }]) =>
    file('s', Buffer.concat([sparseText(segments), stored]), {
      pax: {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.name': own,
        'GNU.sparse.realsize': `${size}`,
      },
    }),
  ),
  fc
    .tuple(shortName, sparse)
    .map(([own, { segments, size, stored }]) =>
      Buffer.concat([
        paxBytes(
          Buffer.concat([
            record('GNU.sparse.size', `${size}`),
            record('GNU.sparse.numblocks', `${segments.length}`),
            record('GNU.sparse.major', '0'),
            record('GNU.sparse.minor', '0'),
            ...segments.flatMap(([offset, length]) => [
              record('GNU.sparse.offset', `${offset}`),
              record('GNU.sparse.numbytes', `${length}`),
            ]),
          ]),
        ),
        file(own, stored),
      ]),
    ),
)

/** In a format of its own, when it has no header before its own that would be changed instead. */
const formatted = fc
  .tuple(
    entry,
    fc.constantFrom(gnu, v7, star, (same: Uint8Array) => Buffer.from(same)),
  )
  .map(([bytes, format]) => ('xLK'.includes(String.fromCharCode(bytes[156] ?? 0)) ? bytes : format(bytes)))

function star(bytes: Uint8Array): Buffer {
  return patched(patched(bytes, 476, '00000000001 00000000002 '), 508, 'tar\0')
}

const soundEntry = fc.oneof(
  { weight: 6, arbitrary: entry },
  { weight: 2, arbitrary: formatted },
  { weight: 1, arbitrary: sparseEntry },
  { weight: 1, arbitrary: fc.constant(pax({ comment: 'global', path: 'evil' }, 'g')) },
)

const numberField = fc.oneof(
  fc.constantFrom(
    '-0000001',
    '00000+5 ',
    '   12   ',
    '12      ',
    '\0\0\x0000012',
    '0x000001',
    '\0'.repeat(8),
    ' '.repeat(8),
    '77777777',
    '00001\0zz',
    '0000018 ',
  ),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(value => base256(value, 8)),
  fc.bigInt({ min: -10n, max: 5000n }).map(value => base256(value, 8)),
)
/** Mode, owner, group, size, time, device: with the bytes of a field of 8. */
const oddField = fc
  .tuple(
    fc.oneof(entry, sparseEntry),
    fc.constantFrom(100, 108, 116, 124, 128, 136, 140, 329, 337, 345, 386, 398, 483),
    numberField,
  )
  .map(([bytes, offset, field]) => patched(bytes, offset, field))
const oddByte = fc
  .tuple(fc.oneof(entry, sparseEntry), fc.integer({ min: 100, max: 511 }), fc.nat(255))
  .map(([bytes, offset, byte]) => patched(bytes, offset, Buffer.from([byte])))
const oddType = fc
  .tuple(entry, fc.constantFrom(...'017SDVMxgLKX\0'.split('')))
  .map(([bytes, type]) => patched(bytes, 156, type))
const oddPax = fc
  .tuple(fc.dictionary(paxKey, paxValue, { maxKeys: 3 }), fc.constantFrom('x', 'x', 'g'))
  .map(([records, type]) => pax(records, type as 'x' | 'g'))
const oddSparse = fc
  .tuple(
    fc.dictionary(
      fc.constantFrom('size', 'realsize', 'major', 'minor', 'numblocks', 'map', 'name', 'offset', 'numbytes'),
      fc.constantFrom('0', '1', '2', '0,1', '', 'n', '1,1,5,2', '3'),
      { maxKeys: 5 },
    ),
    content,
  )
  .map(([records, body]) =>
    file('a', body, {
      pax: Object.fromEntries(Object.entries(records).map(([key, value]) => [`GNU.sparse.${key}`, value])),
    }),
  )

const oddPart = fc.oneof(
  oddField,
  oddByte,
  oddType,
  oddPax,
  oddSparse,
  fc.constant(zeroBlock),
  bytes(60).map(body => paxBytes(body)),
  fc.tuple(fc.constantFrom('L', 'K'), plainName).map(([type, text]) => gnuLong(type as 'L' | 'K', text)),
  fc
    .tuple(fc.constantFrom(...'1234567'.split('')), fc.nat(1030))
    .map(([type, size]) => plainHeader(type, 'a', { size })),
)

const ending = fc.oneof(
  { weight: 6, arbitrary: fc.constant(endOfArchive) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(Buffer.alloc(0), zeroBlock, Buffer.concat([endOfArchive, file('after')])),
  },
  { weight: 1, arbitrary: bytes(600) },
)
