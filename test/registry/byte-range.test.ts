import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { maxRanges, parseByteRange } from '../../src/registry/byte-range.ts'

const whole = { kind: 'whole' }
const unsatisfiable = { kind: 'unsatisfiable' }
const part = (first: number, last: number) => ({ kind: 'part', range: { first, last } })
const parts = (...ranges: readonly (readonly [number, number])[]) => ({
  kind: 'parts',
  ranges: ranges.map(([first, last]) => ({ first, last })),
})

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
    ['bytes=0-1,5-6', parts([0, 1], [5, 6])],
    ['bytes=5-6, ,-1 , 0-9,0-9', parts([5, 6], [999, 999], [0, 9], [0, 9])],
    ['bytes=0-1,1000-', part(0, 1)],
    ['bytes=0-1,6-5', part(0, 1)],
    ['bytes=1000-,-0', unsatisfiable],
    ['bytes=0-1,x', whole],
    ['bytes=0-1;5-6', whole],
    ['bytes=,', whole],
    ['bytes=', whole],
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

  it('many ranges are many parts, up to a limit', () => {
    const list = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i}-${i}`).join(',')}`
    const wanted = parseByteRange(list(maxRanges), 1000)
    assert.equal(wanted.kind === 'parts' && wanted.ranges.length, maxRanges)
    assert.deepEqual(parseByteRange(list(maxRanges + 1), 1000), whole)
  })

  it('is fast on long hostile headers', () => {
    for (const header of [
      `bytes=${'0-1,'.repeat(15_000)}`,
      `bytes=${' '.repeat(60_000)}x`,
      '-'.repeat(60_000),
    ])
      assert.deepEqual(parseByteRange(header, 1000), whole)
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
