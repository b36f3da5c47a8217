import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { describe, it } from 'node:test'
import { skipWithoutJail } from './oracle.ts'
import { formatRun, idleRules, runArchives } from './run.ts'

const count = 10_000
const seed = 1

describe('Archives, applied by us, by GNU tar and by bsdtar', { skip: await skipWithoutJail() }, () => {
  it('make the same tree, or a rule says why not; no rule is idle; nothing crashes or hangs', async context => {
    const report = await runArchives({ count, seed, processes: availableParallelism() })
    for (const line of formatRun(report).split('\n')) context.diagnostic(line)
    assert.deepEqual(report.failures, [])
    assert.deepEqual(idleRules(report), [])
  })
})
