import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../../../src/errors.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries } from '../../../../src/importer/layer/tar/read-entries.ts'
import { LiveMemory } from '../../../support/live-memory.ts'
import { dir, endOfArchive, file, hardlink, patched, pax, symlink, tar } from '../../../support/tar.ts'
import { archives, soundArchives } from './odd-archives.ts'
import { inPieces, read, readPieces, type Seen } from './read.ts'

/** The entries, or how the reading failed. */
async function outcomeOf(pieces: Iterable<Uint8Array>): Promise<Seen[] | string> {
  return await readPieces(pieces).catch((error: unknown) => {
    assert.ok(isDomainError(error, 'invalid', 'unsupported', 'too_large'), String(error))
    return error.message
  })
}

/** In chunks of about a mebibyte, as a decompressor gives them. */
function* repeated(bytes: Uint8Array, times: number): Generator<Uint8Array> {
  const perChunk = Math.ceil((1024 * 1024) / bytes.length)
  const chunk = Buffer.concat(Array.from({ length: perChunk }, () => bytes))
  for (let left = times; left > 0; left -= perChunk)
    yield left < perChunk ? chunk.subarray(0, left * bytes.length) : chunk
}

/** Cuts at the given places, which may be beyond the end. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let offset = 0
  for (let index = 0; offset < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? bytes.length
    pieces.push(bytes.subarray(offset, offset + length))
    offset += length
  }
  return pieces
}

const lengths = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 3000 }), fc.constant(512)),
  {
    minLength: 1,
    maxLength: 8,
  },
)

describe('reading entries of any archive', { timeout: 300_000 }, () => {
  it('gives the same entries, or the same failure, however the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(archives(), lengths, async (archive, lengths) => {
        assert.deepEqual(await outcomeOf(cut(archive, lengths)), await outcomeOf([archive]))
      }),
      { numRuns: 700 },
    )
  })

  it('never changes what it reads', async () => {
    await fc.assert(
      fc.asyncProperty(archives(), async archive => {
        const before = Buffer.from(archive)
        await outcomeOf(inPieces(archive, 1000))
        assert.ok(before.equals(archive))
      }),
      { numRuns: 200 },
    )
  })

  it('takes every sound archive', async () => {
    await fc.assert(
      fc.asyncProperty(soundArchives(), async archive => {
        await read(archive, 700).catch((error: unknown) => {
          // Names are random bytes, so some are no names.
          assert.match(String(error), /has a component|is longer than/)
        })
      }),
      { numRuns: 500 },
    )
  })

  it('neither hangs nor fails in another way than refusing when any byte is another one', async () => {
    const change = fc.tuple(fc.nat(), fc.nat(255), fc.boolean())
    await fc.assert(
      fc.asyncProperty(
        soundArchives(),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        async (archive, changes) => {
          let bytes = archive
          for (const [at, byte, isSealed] of changes) {
            const offset = at % bytes.length
            // With the checksum made good again, where it is a header: otherwise that would be all that is tested.
            const start = offset - (offset % 512)
            bytes = isSealed
              ? Buffer.concat([
                  bytes.subarray(0, start),
                  patched(bytes.subarray(start), offset - start, Buffer.from([byte])),
                ])
              : Buffer.from(bytes).fill(byte, offset, offset + 1)
          }
          await outcomeOf(inPieces(bytes, 900))
        },
      ),
      { numRuns: 1500 },
    )
  })

  it('neither hangs nor fails in another way than refusing when the stream ends anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(soundArchives(), fc.nat(), async (archive, at) => {
        const whole = await outcomeOf([archive])
        const part = await outcomeOf(inPieces(archive.subarray(0, at % (archive.length + 1)), 900))
        if (Array.isArray(part) && Array.isArray(whole)) assert.deepEqual(part, whole.slice(0, part.length))
      }),
      { numRuns: 500 },
    )
  })

  const path = fc
    .array(fc.stringMatching(/^[a-z.é]{1,40}$/), { minLength: 1, maxLength: 6 })
    .map(components => components.filter(component => !/^\.+$/.test(component)).join('/') || 'a')
  const attributes = fc.record({
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 4_294_967_294 }),
    gid: fc.integer({ min: 0, max: 4_294_967_294 }),
    mtime: fc.oneof(fc.integer({ min: 0, max: 9_223_372_036 }), fc.constantFrom(1.5, 1_700_000_000.25)),
  })
  const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
  const built = fc.oneof(
    fc.tuple(path, attributes, fc.uint8Array({ maxLength: 3000 })).map(([path, attributes, content]) => ({
      bytes: file(path, content, attributes),
      seen: {
        type: 'file',
        path: latin1(path),
        ...attributes,
        size: content.length,
        content: Buffer.from(content).toString('latin1'),
        xattrs: [],
      },
    })),
    fc.tuple(path, attributes).map(([path, attributes]) => ({
      bytes: dir(`${path}/`, attributes),
      seen: { type: 'directory', path: latin1(path), ...attributes, xattrs: [] },
    })),
    fc.tuple(path, path, attributes).map(([path, target, attributes]) => ({
      bytes: symlink(path, `/${target}`, attributes),
      seen: { type: 'symlink', path: latin1(path), ...attributes, target: latin1(`/${target}`), xattrs: [] },
    })),
    fc.tuple(path, path).map(([path, target]) => ({
      bytes: hardlink(path, target),
      seen: { type: 'hardlink', path: latin1(path), target: latin1(target).split('/') },
    })),
  )

  it('gives back what was put in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(built, { maxLength: 10 }), lengths, async (parts, lengths) => {
        const archive = tar(...parts.map(({ bytes }) => bytes))
        assert.deepEqual(
          await readPieces(cut(archive, lengths)),
          parts.map(({ seen }) => seen),
        )
      }),
      { numRuns: 500 },
    )
  })
})

describe('memory of a reader', { timeout: 120_000 }, () => {
  const mebibyte = 1024 * 1024
  const zeros = Buffer.alloc(mebibyte)
  const mebibyteOfMap = Buffer.alloc(mebibyte, '0\n')

  const bigFile = patched(file('a'), 124, '10000000000\0')
  const manySegments = file('a', '10000000\n'.padEnd(512, '0\n'), {
    pax: { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '0', size: '40000000' },
  })
  const streams: readonly (readonly [
    what: string,
    pieces: () => Iterable<Uint8Array>,
    entries: number | RegExp,
  ])[] = [
    [
      'S-31: 2 GiB of zeros after the end-of-archive',
      () => [endOfArchive, ...Array.from({ length: 2048 }, () => zeros)],
      0,
    ],
    ['a file of 1 GiB', () => [bigFile, ...Array.from({ length: 1024 }, () => zeros), endOfArchive], 1],
    ['S-32: a million PAX headers', () => repeated(pax({ a: 'b' }), 1_000_000), /more than 16 headers/],
    ['200,000 entries', () => repeated(file('a', 'x'), 200_000), 200_000],
    [
      'S-32: a map of 10^7 segments',
      () => [manySegments, ...Array.from({ length: 20 }, () => mebibyteOfMap)],
      /more than 100000 segments/,
    ],
  ]
  for (const [what, pieces, entries] of streams)
    it(`stays flat: ${what}`, async () => {
      const memory = new LiveMemory()
      let count = 0
      const counting = (async () => {
        const archive = Readable.from(memory.during(pieces(), 16))
        for await (const _ of readEntries(archive, { limits: defaultLayerLimits }))
          if (count++ % 20_000 === 0) memory.look()
      })()
      if (typeof entries === 'number') {
        await counting
        assert.equal(count, entries)
      } else await assert.rejects(counting, { code: 'too_large', message: entries })
      memory.assertBelow(16 * mebibyte)
    })
})
