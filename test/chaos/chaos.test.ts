import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, it } from 'node:test'
import { skipWithoutReplicas } from '../support/replicated-registry.ts'
import { formatReport } from './report.ts'
import { runChaos } from './run-chaos.ts'

const seconds = 30

describe('Three replicas while everything fails', { skip: await skipWithoutReplicas() }, () => {
  it('lose nothing that they acknowledged, and serve no wrong byte', async context => {
    const seed = randomInt(2 ** 31)
    context.diagnostic(`seed ${seed}`)
    const report = await runChaos({ seconds, seed })
    for (const line of formatReport(report, seed).split('\n')) context.diagnostic(line)
    assert.deepEqual(report.violations, [])
    assert.deepEqual(report.mistakes, [])
    assert.ok(report.pushesAcknowledged > 0 && report.pulls > 0)
    assert.ok(report.kills > 0 && report.databaseRestarts + report.storeOutages > 0)
    assert.ok(Object.keys(report.faults).length > 3)
  })
})
