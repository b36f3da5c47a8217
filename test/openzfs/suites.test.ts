import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openZfsSuites } from './suites.ts'

describe('the suites that are run on OpenZFS', () => {
  it('are those that reach a pool by their imports, however deep', () => {
    const suites = openZfsSuites([])
    for (const path of [
      'test/importer/chain/zfs-chain-store.test.ts',
      'test/importer/layer/attacks/breakouts.test.ts',
      'test/importer/agent/agent.test.ts',
      'test/faults/kill-import.test.ts',
      'test/faults/full-pool.test.ts',
    ])
      assert.ok(suites.includes(path), path)
    assert.ok(!suites.some(path => path.startsWith('test/registry/')))
    assert.ok(!suites.includes('test/importer/plan.test.ts'))
  })

  it('are only those that are asked for', () => {
    assert.deepEqual(openZfsSuites(['kill-import', 'test/registry/']), ['test/faults/kill-import.test.ts'])
  })
})
