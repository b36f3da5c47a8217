import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, it } from 'node:test'
import { manifestConditionOf, matchesNone, rangeStillCounts } from '../../src/registry/conditional.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { holds } from '../../src/storage/metadata/manifest-condition.ts'
import { parseReference } from '../../src/storage/reference.ts'

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

describe('the condition of a push', () => {
  const reference = parseReference('latest')
  const condition = (headers: IncomingHttpHeaders) => {
    const made = manifestConditionOf(headers, reference)
    assert.ok(made !== undefined)
    return made
  }

  it('is none without headers', () => assert.equal(manifestConditionOf({}, reference), undefined))

  for (const [headers, whenAbsent, whenSame, whenOther] of [
    [{ 'if-match': `"${digest}"` }, false, true, false],
    [{ 'if-match': digest }, false, true, false],
    [{ 'if-match': `W/"${digest}"` }, false, false, false],
    [{ 'if-match': `"${other}", "${digest}"` }, false, true, true],
    [{ 'if-match': '*' }, false, true, true],
    [{ 'if-match': '"*"' }, false, false, false],
    [{ 'if-match': '' }, false, false, false],
    [{ 'if-none-match': '*' }, true, false, false],
    [{ 'if-none-match': `W/"${digest}"` }, true, false, true],
    [{ 'if-none-match': `"${digest}"`, 'if-match': '*' }, false, false, true],
  ] as const)
    it(JSON.stringify(headers), () => {
      const made = condition(headers)
      assert.deepEqual(
        [holds(made, undefined), holds(made, digest), holds(made, other)],
        [whenAbsent, whenSame, whenOther],
      )
    })
})
