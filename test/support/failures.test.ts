import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { reasonOf, tellFailures } from './failures.ts'

describe('what is told of failures at the end of a run', () => {
  it('is why each of them failed', () => {
    assert.deepEqual(
      tellFailures([
        {
          title: 'a (a.test.ts)',
          reason: 'Error: one\n    at a.test.ts:1\n    at async Suite.run (node:internal/x:1)\n\n',
        },
        { title: 'b (b.test.ts)', reason: 'Error: two' },
      ]),
      [
        'failed: a (a.test.ts)',
        '  Error: one',
        '      at a.test.ts:1',
        'failed: b (b.test.ts)',
        '  Error: two',
      ],
    )
  })

  it('is told once where a hook failed, with all tests of its suite', () => {
    const lines = tellFailures(['a', 'b', 'c'].map(title => ({ title, reason: 'Error: in the hook' })))
    assert.equal(lines.filter(line => line.includes('in the hook')).length, 1)
    assert.equal(lines.filter(line => line.startsWith('failed: ')).length, 3)
  })

  it('has an end', () => {
    const lines = tellFailures([{ title: 'a', reason: `${'x'.repeat(1e6)}\n`.repeat(100) }])
    assert.ok(lines.join('\n').length < 10_000)
    assert.equal(lines.at(-1), '  (84 more lines)')
  })

  it('begins with what was thrown, and has what that was caused by', () => {
    const thrown = new Error('outer', { cause: new Error('dataset is busy') })
    const reason = reasonOf(new Error('the test failed', { cause: thrown }))
    assert.match(reason, /^Error: outer\n/)
    assert.match(reason, /dataset is busy/)
  })
})
