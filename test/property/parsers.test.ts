import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError, type ErrorCode, isDomainError } from '../../src/errors.ts'
import { maxRanges, parseByteRange } from '../../src/registry/byte-range.ts'
import { chunkRangeOf } from '../../src/registry/chunk-range.ts'
import { parsePage } from '../../src/registry/paging.ts'
import { newUploadId, parseUploadId } from '../../src/storage/blobs/upload-id.ts'
import { algorithmOf, digestOf, hexOf, parseDigest } from '../../src/storage/digest.ts'
import {
  formatReference,
  parseImageName,
  parseReference,
  parseRepositoryName,
  parseTag,
} from '../../src/storage/reference.ts'

/** What a parser makes of a text; undefined when it refuses it as it should: with one of `codes`. */
function attempt<Value>(parse: () => Value, ...codes: readonly ErrorCode[]): Value | undefined {
  try {
    return parse()
  } catch (error) {
    if (isDomainError(error, ...codes)) return undefined
    throw error
  }
}

/** Text of every kind: of the alphabet of names, of any characters, and valid text with a blemish. */
const alike = fc.stringMatching(/^[az09AZ._/:@+=%-]{0,40}$/)
const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), alike)
const many = { numRuns: 2000 }

const isLowerOrDigit = (text: string) => !/[^a-z0-9]/.test(text)

/** The grammar of a name once more, told in another way. */
function isName(text: string): boolean {
  return text.length <= 255 && text.split('/').every(isNamePart)
}

function isNamePart(part: string): boolean {
  const marked = part.replaceAll('__', '_')
  if (marked.includes('__') || part.includes('___')) return false
  const words = marked.split(/[._]|-+/)
  return words.every(word => word !== '' && isLowerOrDigit(word))
}

describe('Any text', () => {
  it('is a repository name only by the grammar', () => {
    fc.assert(
      fc.property(anything, text => {
        assert.equal(attempt(() => parseRepositoryName(text), 'invalid') !== undefined, isName(text))
      }),
      many,
    )
  })

  it('is a tag only by the grammar, and then comes back as it is', () => {
    fc.assert(
      fc.property(anything, text => {
        const isTag = text !== '' && text.length <= 128 && !/^[.-]/.test(text) && !/[^\w.-]/.test(text)
        assert.equal(
          attempt(() => parseTag(text), 'invalid'),
          isTag ? text : undefined,
        )
      }),
      many,
    )
  })

  it('is a reference of one kind, by its colon', () => {
    fc.assert(
      fc.property(anything, text => {
        const reference = attempt(() => parseReference(text), 'invalid')
        if (reference === undefined) return
        assert.equal(formatReference(reference), text)
        assert.equal(reference.kind, text.includes(':') ? 'digest' : 'tag')
      }),
      many,
    )
  })

  it('is an image name or refused, never anything else', () => {
    fc.assert(
      fc.property(anything, text => {
        const name = attempt(() => parseImageName(text), 'invalid')
        if (name !== undefined) assert.ok(isName(name.repository))
      }),
      many,
    )
  })

  it('is an upload id only when it could be one', () => {
    fc.assert(
      fc.property(anything, text =>
        assert.equal(
          attempt(() => parseUploadId(text), 'not_found'),
          undefined,
        ),
      ),
    )
    const id = newUploadId()
    assert.equal(parseUploadId(id), id)
  })
})

describe('A digest', () => {
  const real = fc
    .tuple(fc.uint8Array(), fc.constantFrom('sha256', 'sha512'))
    .map(([bytes, name]) => digestOf(bytes, name))

  it('that was computed is parsed, into its two parts', () => {
    fc.assert(
      fc.property(real, digest => {
        assert.equal(parseDigest(digest), digest)
        assert.equal(`${algorithmOf(digest)}:${hexOf(digest)}`, digest)
      }),
    )
  })

  it('with any one character changed, added or missing is refused, unless it is another digest', () => {
    const char = fc.stringMatching(/^[0aAgZ:+._= \n\0é-]$/)
    fc.assert(
      fc.property(real, fc.nat(140), char, fc.constantFrom(0, 1), (digest, at, inserted, removed) => {
        const text = digest.slice(0, at) + inserted + digest.slice(at + removed)
        const isDigest = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})(?!\n)$/.test(text)
        assert.equal(
          attempt(() => parseDigest(text), 'invalid'),
          isDigest ? text : undefined,
        )
      }),
      many,
    )
  })
})

describe('A Content-Range', () => {
  const codes = ['invalid', 'out_of_range', 'size_mismatch'] as const
  const position = fc.nat({ max: 10 ** 15 - 1 })

  it('of two positions in order gives where a chunk begins and how long it is', () => {
    fc.assert(
      fc.property(position, position, fc.boolean(), (one, other, announced) => {
        const [first, last] = [Math.min(one, other), Math.max(one, other)]
        const length = last - first + 1
        const headers = {
          'content-range': `${first}-${last}`,
          ...(announced ? { 'content-length': String(length) } : { 'transfer-encoding': 'chunked' }),
        }
        assert.deepEqual(chunkRangeOf(headers), { at: first, length })
      }),
    )
  })

  it('that does not fit its body, or is reversed, is refused as such', () => {
    fc.assert(
      fc.property(position, position, fc.integer({ min: 1 }), (first, last, announced) => {
        const headers = { 'content-range': `${first}-${last}`, 'content-length': String(announced) }
        const length = last - first + 1
        if (length === announced) return
        assert.throws(
          () => chunkRangeOf(headers),
          (error: unknown) => isDomainError(error, length <= 0 ? 'out_of_range' : 'size_mismatch'),
        )
      }),
    )
  })

  it('of any other text is refused', () => {
    const text = fc.oneof(anything, fc.stringMatching(/^[0-9,/= bytes*-]{0,30}$/))
    fc.assert(
      fc.property(text, text => {
        const chunk = attempt(
          () => chunkRangeOf({ 'content-range': text, 'transfer-encoding': 'chunked' }),
          ...codes,
        )
        if (chunk === undefined) return
        const [first = '', last = ''] = text.split('-')
        assert.deepEqual(chunk, { at: Number(first), length: Number(last) - Number(first) + 1 })
      }),
      many,
    )
  })
})

describe('A Range', () => {
  const number = fc.oneof(fc.nat(30).map(String), fc.constantFrom('', '9'.repeat(30), '00'))
  const spec = fc.tuple(number, number).map(([first, last]) => `${first}-${last}`)
  const header = fc.oneof(
    fc.array(spec, { minLength: 1, maxLength: 20 }).map(specs => `bytes=${specs.join(', ')}`),
    anything.map(text => `bytes=${text}`),
    anything,
  )

  it('selects only what is there, in its order, and never more often than is allowed', () => {
    fc.assert(
      fc.property(header, fc.nat(30), (header, size) => {
        const wanted = parseByteRange(header, size)
        const ranges = wanted.kind === 'part' ? [wanted.range] : wanted.kind === 'parts' ? wanted.ranges : []
        assert.ok(ranges.length <= maxRanges)
        for (const { first, last } of ranges) assert.ok(0 <= first && first <= last && last < size)
        if (wanted.kind === 'parts') assert.ok(ranges.length >= 2)
      }),
      many,
    )
  })

  it('selects the bytes that its definition says', () => {
    fc.assert(
      fc.property(
        fc.option(fc.nat(40), { nil: undefined }),
        fc.option(fc.nat(40), { nil: undefined }),
        fc.nat(30),
        (first, last, size) => {
          if (first === undefined && last === undefined) return
          const positions = Array.from({ length: size }, (_, index) => index)
          const selected = positions.filter(index =>
            first === undefined ? index >= size - (last ?? 0) : index >= first && index <= (last ?? size),
          )
          const wanted = parseByteRange(`bytes=${first ?? ''}-${last ?? ''}`, size)
          const [from, to] = [selected[0], selected.at(-1)]
          if (from === undefined || to === undefined) assert.deepEqual(wanted, { kind: 'unsatisfiable' })
          else assert.deepEqual(wanted, { kind: 'part', range: { first: from, last: to } })
        },
      ),
      many,
    )
  })
})

describe('A page', () => {
  it('has a size that is taken, or is refused', () => {
    fc.assert(
      fc.property(anything, anything, (n, last) => {
        const page = attempt(() => parsePage(new URLSearchParams({ n, last })), 'invalid')
        if (page === undefined) assert.ok(!/^\d+$/.test(n))
        else assert.ok(Number.isSafeInteger(page.size) && page.size >= 0 && page.size <= 1000)
      }),
      many,
    )
  })
})

it('No refusal quotes more than a little of what it refuses', () => {
  const long = 'A'.repeat(1_000_000)
  for (const parse of [
    parseRepositoryName,
    parseTag,
    parseDigest,
    parseReference,
    parseImageName,
    parseUploadId,
  ])
    for (const text of [long, `sha256:${long}`, `${long.toLowerCase()}:0`])
      try {
        parse(text)
        assert.fail('it was taken')
      } catch (error) {
        assert.ok(error instanceof DomainError && error.message.length < 1000, parse.name)
      }
})
