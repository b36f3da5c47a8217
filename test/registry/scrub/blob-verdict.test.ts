import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { blobVerdict } from '../../../src/registry/scrub/blob-verdict.ts'
import { missingLimit, scrubDue } from '../../../src/registry/scrub/due.ts'
import type { Reading } from '../../../src/registry/scrub/read-object.ts'
import { digestOf } from '../../../src/storage/digest.ts'

const digest = digestOf(Buffer.from('right'))
const blob = { digest, size: 5 }
const wrong = digestOf(Buffer.from('wrong'))
const right: Reading = { kind: 'bytes', size: 5, digests: [digest] }
const readings = fc.constantFrom<Reading>(
  right,
  { kind: 'bytes', size: 5, digests: [wrong] },
  { kind: 'bytes', size: 5, digests: [digestOf(Buffer.from('other'))] },
  { kind: 'bytes', size: 4, digests: [] },
  { kind: 'absent' },
  { kind: 'unreadable' },
)

describe('The verdict on a blob', () => {
  it('is never against it unless the last two of at most three alike looks say the same', () => {
    fc.assert(
      fc.property(fc.array(readings, { minLength: 3, maxLength: 3 }), all => {
        for (let count = 1; count <= all.length; count++) {
          const seen = all.slice(0, count)
          const last = seen.at(-1) ?? assert.fail()
          const verdict = blobVerdict(blob, seen, true)
          if (verdict.kind === 'again') continue
          const isRight = last === right
          const isTwice = seen.slice(0, -1).some(each => JSON.stringify(each) === JSON.stringify(last))
          const expected = isRight
            ? 'sound'
            : !isTwice
              ? 'unsettled'
              : last.kind === 'absent'
                ? 'missing'
                : 'corrupt'
          assert.equal(verdict.kind, expected)
          return
        }
        assert.fail('no verdict after three looks')
      }),
    )
  })

  it('goes by the size alone where the bytes are not read', () => {
    const sized = (size: number): Reading => ({ kind: 'bytes', size, digests: [] })
    assert.equal(blobVerdict(blob, [sized(5)], false).kind, 'sound')
    assert.equal(blobVerdict(blob, [sized(6)], false).kind, 'again')
    assert.deepEqual(blobVerdict(blob, [sized(6), sized(6)], false), {
      kind: 'corrupt',
      detail: 'it has 6 bytes',
    })
  })
})

describe('What is due', () => {
  const pass = { number: 1, known: 0, blobs: 0, missing: 0, takesAll: false, stoppedAt: null }
  const place = { phase: 'blobs', after: undefined } as const
  const day = 24 * 60 * 60 * 1000
  for (const [what, state, expected] of [
    ['nothing was ever looked at', { beganAt: null, place: null, pass }, 'begin'],
    ['a pass has just ended', { beganAt: new Date(day), place: null, pass }, 'wait'],
    ['a pass is under way, however long', { beganAt: new Date(0), place, pass }, 'go on'],
    ['it was long ago', { beganAt: new Date(-29 * day), place: null, pass }, 'begin'],
    ['it has stopped', { beganAt: new Date(0), place, pass: { ...pass, stoppedAt: new Date(1) } }, 'stopped'],
    [
      'it has stopped a day ago',
      { beganAt: new Date(0), place, pass: { ...pass, stoppedAt: new Date(0) } },
      'begin',
    ],
  ] as const)
    it(`when ${what}: ${expected}`, () => {
      assert.equal(scrubDue(state, 30 * day, day), expected)
    })

  it('a clock that was far ahead keeps nobody waiting', () => {
    const pass = { known: 0, blobs: 0, missing: 0, takesAll: false, number: 1, stoppedAt: null }
    const state = (at: number) => ({ beganAt: new Date(at), place: null, pass })
    assert.equal(scrubDue(state(400 * day), 30 * day, day), 'begin')
    assert.equal(scrubDue(state(day + 60_000), 30 * day, day), 'wait')
  })

  it('twenty may be missing, or a part of all, or all', () => {
    assert.equal(missingLimit({ known: 0, takesAll: false }, 1), 20)
    assert.equal(missingLimit({ known: 100_000, takesAll: false }, 1), 1000)
    assert.equal(missingLimit({ known: 100_000, takesAll: false }, 0), 20)
    assert.equal(missingLimit({ known: 3, takesAll: true }, 0), Infinity)
  })
})
