import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseByteRange } from '../../src/registry/byte-range.ts'

const whole = { kind: 'whole' }
const unsatisfiable = { kind: 'unsatisfiable' }
const part = (first: number, last: number) => ({ kind: 'part', range: { first, last } })

describe('parseByteRange, of 1000 bytes', () => {
  for (const [header, wanted] of [
    [undefined, whole],
    ['bytes=0-0', part(0, 0)],
    ['bytes=0-499', part(0, 499)],
    ['Bytes=500-', part(500, 999)],
    ['bytes=999-', part(999, 999)],
    ['bytes=-1', part(999, 999)],
    ['bytes=-5000', part(0, 999)],
    ['bytes=900-5000', part(900, 999)],
    ['bytes=1000-', unsatisfiable],
    ['bytes=500-0', unsatisfiable],
    ['bytes=-0', unsatisfiable],
    ['bytes=0-1,5-6', whole],
    ['bytes=-', whole],
    ['bytes=a-b', whole],
    ['items=0-1', whole],
    ['0-1', whole],
  ] as const)
    it(String(header), () => assert.deepEqual(parseByteRange(header, 1000), wanted))

  it('of nothing there is no part', () => {
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1'])
      assert.deepEqual(parseByteRange(header, 0), unsatisfiable)
  })

  it('a part always lies inside of the body', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat({ max: 5000 }), (first, last, size) => {
        const wanted = parseByteRange(`bytes=${first}-${last}`, size)
        if (wanted.kind !== 'part') return
        assert.ok(wanted.range.first <= wanted.range.last && wanted.range.last < size)
      }),
    )
  })
})
