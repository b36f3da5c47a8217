import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { matchesNone, rangeStillCounts } from '../../src/registry/conditional.ts'
import { digestOf } from '../../src/storage/digest.ts'

const digest = digestOf(Buffer.from('a'))
const other = digestOf(Buffer.from('b'))

describe('If-None-Match', () => {
  for (const header of [`"${digest}"`, digest, `W/"${digest}"`, `"${other}", "${digest}"`, '*'])
    it(`${header} matches`, () => assert.equal(matchesNone(header, digest), true))
  for (const header of [undefined, '', `"${other}"`, other, '"*"'])
    it(`${header} does not match`, () => assert.equal(matchesNone(header, digest), false))
})

describe('If-Range', () => {
  it('counts when absent or equal', () => {
    assert.equal(rangeStillCounts(undefined, digest), true)
    assert.equal(rangeStillCounts(`"${digest}"`, digest), true)
  })

  it('does not count for another digest, a weak tag or a date', () => {
    for (const header of [`"${other}"`, `W/"${digest}"`, 'Sat, 29 Oct 1994 19:43:31 GMT'])
      assert.equal(rangeStillCounts(header, digest), false)
  })
})
