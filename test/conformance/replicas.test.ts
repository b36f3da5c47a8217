/** The same as of one process, of three on PostgreSQL and S3, with each request to the next of them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../support/replicated-registry.ts'
import { blobStepSuite } from './blob-step-suite.ts'
import { checkedReferences, dataSetSuite } from './data-set-suite.ts'
import { conformanceProgramSuite } from './program-suite.ts'

describe('Three replicas on PostgreSQL and S3', { skip: await skipWithoutReplicas() }, () => {
  const all: ReplicatedRegistry[] = []
  const open = async (registry?: Readonly<Record<string, unknown>>) => {
    const opened = await startReplicatedRegistry(registry === undefined ? {} : { registry })
    all.push(opened)
    return opened
  }

  conformanceProgramSuite(() => open())
  blobStepSuite(() => open())
  for (const requireReferences of checkedReferences)
    dataSetSuite(requireReferences, () => open({ requireReferences }))

  it('have all had their share of the requests', () => {
    assert.ok(all.length > 0)
    for (const { balancer } of all) {
      const answered = [...balancer.answered.values()]
      assert.equal(answered.length, 3)
      assert.ok(Math.max(...answered) - Math.min(...answered) <= 1)
    }
  })
})
