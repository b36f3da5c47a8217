import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { describeFailure } from '../../src/cli/exit.ts'
import { formatTable } from '../../src/cli/format.ts'
import { printable, printableJson, printableLines } from '../../src/cli/printable.ts'
import { DomainError } from '../../src/errors.ts'

const acting = /[\0-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u

describe('printable', () => {
  it('shows what a terminal would act upon', () => {
    assert.equal(
      printable('a\x1b[31m\x9b2J\x7f\r\n\u202eb é'),
      'a\\u001b[31m\\u009b2J\\u007f\\u000d\\u000a\\u202eb é',
    )
    assert.equal(printableLines('a\nb\r'), 'a\nb\\u000d')
  })

  it('leaves nothing that a terminal acts upon in any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), text => !acting.test(printable(text))))
  })

  it('gives JSON of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        const json = printableJson(value)
        assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(value)))
        assert.doesNotMatch(json, acting)
      }),
    )
    assert.equal(printableJson({ a: 'x\x9b' }, 2), '{\n  "a": "x\\u009b"\n}')
  })

  it('is how names in tables and words in errors are shown', () => {
    assert.equal(formatTable(['NAME'], [['a\x1b[2J']]), 'NAME\na\\u001b[2J')
    const error = new DomainError('not_found', 'It has: linux/\x1b]0;x\x07.', { resource: 'platform' })
    assert.equal(describeFailure(error).message, 'varve: It has: linux/\\u001b]0;x\\u0007.')
    const bug = describeFailure(new Error('x\x1b[2J')).message
    assert.match(bug, /\\u001b\[2J\n/)
  })
})

describe('formatTable', () => {
  it('takes as many rows as there are', () => {
    const rows = Array.from({ length: 200_000 }, (_, index) => [`zone${index}`, 'x'])
    assert.equal(formatTable(['NAME', 'X'], rows).split('\n').length, rows.length + 1)
  })
})
