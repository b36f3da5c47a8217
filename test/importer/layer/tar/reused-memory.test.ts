import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { joinPath } from '../../../../src/importer/layer/entry-path.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { readEntries } from '../../../../src/importer/layer/tar/read-entries.ts'
import { dir, file, tar } from '../../../support/tar.ts'
import { see } from './read.ts'

/** As the ring of an engine's thread is read: each piece is good only until the next one is asked for. */
class ReusedMemory extends Readable {
  readonly #pieces: Iterable<Uint8Array>

  constructor(pieces: Iterable<Uint8Array>) {
    super()
    this.#pieces = pieces
  }

  override async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, undefined, undefined> {
    for (const piece of this.#pieces) {
      const copy = Uint8Array.from(piece)
      yield copy
      copy.fill(0x21)
    }
  }
}

function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let offset = 0, index = 0; offset < bytes.length; index += 1) {
    const length = lengths[index % lengths.length] ?? bytes.length
    yield bytes.subarray(offset, offset + length)
    offset += length
  }
}

/** Of every other file too long for its header, so that a PAX header says it. */
function nameOf(index: number): string {
  return index % 2 === 0 ? `f/${index}` : `${'long/'.repeat(30)}${index}`
}

function beginningOf(content: Buffer | undefined): Buffer {
  return Buffer.from(content?.subarray(0, 40) ?? [])
}

const use = fc.constantFrom('read', 'whole', 'left', 'left after one piece')
const files = fc.array(fc.tuple(fc.nat(3000), fc.nat(255), use), { minLength: 1, maxLength: 12 })
const lengths = fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1, maxLength: 5 })

describe('reading entries from memory that is used again', { timeout: 120_000 }, () => {
  it('gives what is there, however it is cut, and whatever is read of it or left', async () => {
    await fc.assert(
      fc.asyncProperty(files, lengths, async (files, lengths) => {
        const contents = files.map(([size, seed]) =>
          Buffer.from(Array.from({ length: size }, (_, index) => (index * 7 + seed) % 251)),
        )
        const archive = tar(
          ...contents.flatMap((content, index) => [
            dir(`d${index}`),
            file(nameOf(index), content, { pax: { 'SCHILY.xattr.user.a': beginningOf(content) } }),
          ]),
        )
        const stream = new ReusedMemory(cut(archive, lengths))
        const names: string[] = []
        for await (const entry of readEntries(stream, { limits: defaultLayerLimits })) {
          names.push(joinPath(entry.path))
          if (entry.type !== 'file') continue
          const index = Number(joinPath(entry.path).split('/').at(-1))
          assert.deepEqual(entry.xattrs, [{ name: 'user.a', value: beginningOf(contents[index]) }])
          const content = contents[index] ?? Buffer.alloc(0)
          const use = files[index]?.[2]
          if (use === 'read') assert.equal((await see(entry)).content, content.toString('latin1'))
          if (use === 'whole' && entry.body.whole !== undefined)
            assert.deepEqual(Buffer.from(entry.body.whole), content)
          if (use === 'left after one piece')
            for await (const piece of entry.body) {
              assert.deepEqual(Buffer.from(piece), content.subarray(0, piece.length))
              break
            }
        }
        assert.deepEqual(
          names,
          contents.flatMap((_, index) => [`d${index}`, nameOf(index)]),
        )
        assert.equal(stream.destroyed, true)
      }),
      { numRuns: 500 },
    )
  })

  it('has the content of a file in one piece at hand, and of others not', async () => {
    const archive = tar(file('a', 'x'.repeat(600)), file('b', 'y'.repeat(3000)), file('c'))
    const seen: (string | undefined)[] = []
    const stream = Readable.from(cut(archive, [2560, archive.length]))
    for await (const entry of readEntries(stream, { limits: defaultLayerLimits }))
      if (entry.type === 'file') seen.push(entry.body.whole && Buffer.from(entry.body.whole).toString())
    assert.deepEqual(seen, ['x'.repeat(600), undefined, ''])
  })

  it('refuses to read content of an entry before the last', async () => {
    const archive = tar(file('a', 'x'.repeat(3000)), file('b', 'y'))
    const bodies: AsyncIterable<Uint8Array>[] = []
    for await (const entry of readEntries(Readable.from(cut(archive, [700])), {
      limits: defaultLayerLimits,
    })) {
      if (entry.type === 'file') bodies.push(entry.body)
      const [first] = bodies
      if (bodies.length === 2 && first !== undefined)
        await assert.rejects(Array.fromAsync(first), /is read after the next entry/)
    }
    assert.equal(bodies.length, 2)
  })
})
