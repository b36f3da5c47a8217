import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { summaryOf } from '../../src/cli/adopt-display.ts'
import { isComplete, newTally } from '../../src/storage/adopt/adopt-report.ts'

describe('the summary of an adoption', () => {
  it('tells what was done, and what was left out', () => {
    const tally = newTally()
    tally.repositories = 3
    tally.blobs.shared = 2
    tally.bytes.shared = 2048
    tally.tags.kept = 1
    assert.equal(isComplete(tally), true)
    assert.match(summaryOf(tally), /^repositories {2}3$/m)
    assert.match(summaryOf(tally), /^blobs {9}2 shared \(2\.0 KiB\), 0 were here$/m)
    assert.match(summaryOf(tally), /1 newer here/)
    assert.match(summaryOf(tally), /^left out {6}nothing$/m)

    tally.problems.schema1 = 4
    tally.problems.tag = 5
    assert.equal(isComplete(tally), false)
    assert.match(summaryOf(tally), /^left out {6}4 schema1, 5 tag$/m)
  })
})
