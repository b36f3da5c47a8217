import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import {
  file,
  gnu,
  oldSparse,
  patched,
  pax,
  paxBytes,
  plainHeader,
  record,
  type Segments,
  sparseText,
  symlink,
  tar,
} from '../../../support/tar.ts'
import { read } from './read.ts'

const content = 'abcdefgh'
const segments: Segments = [
  [1000, 3],
  [5000, 0],
  [6000, 5],
  [10_000, 0],
]
const size = 10_000

/** A sparse file in each form that there is. */
const forms: Readonly<Record<string, (segments: Segments, size: number, stored?: string) => Buffer>> = {
  'the old form': (segments, size, stored = content) => oldSparse('s', size, segments, stored, { mtime: 7 }),
  'PAX 0.0': (segments, size, stored = content) => {
    const pairs = segments.map(([offset, length]) =>
      Buffer.concat([record('GNU.sparse.offset', `${offset}`), record('GNU.sparse.numbytes', `${length}`)]),
    )
    const counts = { 'GNU.sparse.size': `${size}`, 'GNU.sparse.numblocks': `${segments.length}` }
    const records = Object.entries(counts).map(([key, value]) => record(key, value))
    return Buffer.concat([paxBytes(Buffer.concat([...records, ...pairs])), file('s', stored, { mtime: 7 })])
  },
  'PAX 0.1': (segments, size, stored = content) =>
    file('GNUSparseFile.0/s', stored, {
      mtime: 7,
      pax: {
        'GNU.sparse.size': `${size}`,
        'GNU.sparse.numblocks': `${segments.length}`,
        'GNU.sparse.map': segments.flat().join(','),
        'GNU.sparse.name': 's',
      },
    }),
  'PAX 1.0': (segments, size, stored = content) =>
    text(Buffer.concat([sparseText(segments), Buffer.from(stored)]), { 'GNU.sparse.realsize': `${size}` }),
}

function text(stored: Uint8Array, records: Readonly<Record<string, string>> = {}): Buffer {
  return file('GNUSparseFile.0/s', stored, {
    mtime: 7,
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 's', ...records },
  })
}

const one = { 'GNU.sparse.realsize': '1' }

describe('sparse files', { timeout: 60_000 }, () => {
  for (const [form, build] of Object.entries(forms)) {
    it(`reads ${form}`, async () => {
      const bytes = tar(build(segments, size), file('next', 'x'))
      for (const pieceBytes of [bytes.length, 512, 100])
        assert.partialDeepStrictEqual(await read(bytes, pieceBytes), [
          {
            type: 'file',
            path: 's',
            size,
            mtime: 7,
            content,
            segments: [
              { offset: 1000, length: 3 },
              { offset: 6000, length: 5 },
            ],
          },
          { path: 'next', content: 'x' },
        ])
    })

    it(`reads ${form} with a long map`, async () => {
      const many = Array.from({ length: 1000 }, (_, index) => [index * 1000 + 1, 1] as const)
      const [entry] = await read(tar(build(many, 10 ** 6, 'x'.repeat(1000))), 700)
      assert.equal(entry?.content?.length, 1000)
      assert.deepEqual(
        entry?.['segments'],
        many.map(([offset, length]) => ({ offset, length })),
      )
    })

    it(`reads ${form} that is one hole, and one that is empty`, async () => {
      assert.partialDeepStrictEqual(await read(tar(build([[size, 0]], size, ''))), [
        { size, segments: [], content: '' },
      ])
      assert.partialDeepStrictEqual(await read(tar(build([[0, 0]], 0, ''))), [{ size: 0, segments: [] }])
    })

    it(`reads ${form} beyond 8 GiB`, async () => {
      const far = 2 ** 35
      assert.partialDeepStrictEqual(await read(tar(build([[far, 8]], far + 8))), [
        { size: far + 8, segments: [{ offset: far, length: 8 }] },
      ])
    })

    const broken: readonly (readonly [what: string, segments: Segments, size?: number])[] = [
      [
        'not ascending',
        [
          [6000, 5],
          [1000, 3],
        ],
      ],
      [
        'overlapping',
        [
          [1000, 5],
          [1004, 3],
        ],
      ],
      [
        'past the end',
        [
          [1000, 3],
          [9996, 5],
        ],
      ],
      ['with less than is stored', [[1000, 7]]],
      ['with more than is stored', [[1000, 9]]],
      [
        'empty, but past the end',
        [
          [0, 8],
          [10_001, 0],
        ],
      ],
      ['beyond 2^53', [[2n ** 53n - 4n, 8]], 2 ** 53 - 1],
    ]
    for (const [what, segments, total = size] of broken)
      it(`refuses ${form} with a map that is ${what}`, { timeout: 10_000 }, async () => {
        await assert.rejects(read(tar(build(segments, total))), {
          code: 'invalid',
          message: /the sparse file "s"/,
        })
      })

    it(`refuses ${form} that is larger than a layer may be, or has too many segments`, async () => {
      const { maxBytes } = defaultLayerLimits
      await assert.rejects(read(tar(build([[0, 8]], maxBytes + 1))), { code: 'too_large' })
      const many = Array.from({ length: 100_001 }, (_, index) => [index, 0] as const)
      await assert.rejects(read(tar(build(many, 10 ** 6, '')), 65_536), { code: 'too_large' })
    })

    it(`refuses ${form} that ends in its map`, async () => {
      const many = Array.from({ length: 1000 }, (_, index) => [index * 1000, 1] as const)
      const bytes = build(many, 10 ** 6, 'x'.repeat(1000))
      await assert.rejects(read(bytes.subarray(0, 2048)), { code: 'invalid' })
    })
  }

  const refused: readonly (readonly [what: string, bytes: Uint8Array, code: string])[] = [
    ['a count that is not a number', text(Buffer.alloc(512, 'x\n'), one), 'invalid'],
    ['a count of 10^7 (CVE-2025-58183)', text(Buffer.alloc(1024, '10000000\n0\n0\n'), one), 'invalid'],
    ['a map without an end', text(Buffer.alloc(2048, '1'), one), 'invalid'],
    [
      'a map of more than 1 MiB',
      text(Buffer.from(`99999\n${'0\n'.padStart(40, '0').repeat(60_000)}`), one),
      'too_large',
    ],
    ['less stored than a block of map', text(Buffer.from('0\n'), one), 'invalid'],
    ['a size that is not a number', text(sparseText([]), { 'GNU.sparse.realsize': '1x' }), 'invalid'],
    ['two sizes', text(sparseText([]), { 'GNU.sparse.realsize': '1', 'GNU.sparse.size': '2' }), 'invalid'],
    ['an unknown version', text(sparseText([]), { ...one, 'GNU.sparse.major': '2' }), 'unsupported'],
    ['a version and nothing else', file('s', '', { pax: { 'GNU.sparse.major': '1' } }), 'unsupported'],
    ['a name and nothing else', file('s', '', { pax: { 'GNU.sparse.name': 'other' } }), 'unsupported'],
    ['NUL in a name', text(sparseText([]), { ...one, 'GNU.sparse.name': 'a\0b' }), 'invalid'],
    [
      'a directory by its name',
      text(sparseText([]), { 'GNU.sparse.realsize': '0', 'GNU.sparse.name': 'a/' }),
      'invalid',
    ],
    [
      'both maps',
      Buffer.concat([pax({ 'GNU.sparse.map': '0,1' }), gnu(plainHeader('S', 's'))]),
      'unsupported',
    ],
    ['a size by PAX that is not there', text(sparseText([[0, 1]]), one), 'invalid'],
    [
      'a symlink that claims to be one',
      symlink('l', 'a', {
        pax: { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.numblocks': '0' },
      }),
      'invalid',
    ],
    [
      'pairs in the wrong order',
      Buffer.concat([
        paxBytes(Buffer.concat([record('GNU.sparse.numbytes', '1'), record('GNU.sparse.offset', '0')])),
        file('s', 'x'),
      ]),
      'invalid',
    ],
    [
      'a number of pairs that is not theirs',
      file('s', 'x', { pax: { 'GNU.sparse.map': '0,1', 'GNU.sparse.numblocks': '2' } }),
      'invalid',
    ],
    ['an old one with a broken number', patched(oldSparse('s', 8, [[0, 8]], content), 386, 'x'), 'invalid'],
    [
      'an old one with a negative size',
      patched(oldSparse('s', 8, [[0, 8]], content), 483, Buffer.alloc(12, 0xff)),
      'invalid',
    ],
  ]
  for (const [what, bytes, code] of refused)
    it(`refuses ${what}`, { timeout: 10_000 }, async () => {
      for (const pieceBytes of [65_536, 100])
        await assert.rejects(read(tar(bytes), pieceBytes), { name: 'DomainError', code })
    })
})
