import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAgentMetrics } from '../../../src/metrics/agent-metrics.ts'
import { MeasuredService } from '../../../src/importer/agent/measured-service.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { answeringService, clone, imageName, published } from '../../support/agent-answers.ts'

const platform = defaultPlatform

describe('A measured service', () => {
  it('counts imports by how they ended, layers, and clones', async () => {
    const metrics = createAgentMetrics(async () => [])
    const service = new MeasuredService(answeringService(), metrics, 'tank')
    const failing = new MeasuredService(
      { ...answeringService(), import: () => Promise.reject(new Error('no')) },
      metrics,
      'tank',
    )
    const told: string[] = []
    await service.import({ image: imageName, platform }, { onEvent: ({ type }) => told.push(type) })
    assert.deepEqual(told, ['resolved', 'layer-progress', 'layer-done'])
    await assert.rejects(failing.import({ image: imageName, platform }))
    const signal = AbortSignal.abort()
    await assert.rejects(service.import({ image: 'slow', platform }, { signal }), { name: 'AbortError' })
    await service.clone(imageName, clone.name)
    await service.cloneMany(imageName, ['a', 'b'].map(parseCloneName))
    await service.destroyClone(clone.name)
    const text = await metrics.text()
    for (const line of [
      'varve_agent_import_duration_seconds_count{pool="tank",outcome="done"} 1',
      'varve_agent_import_duration_seconds_count{pool="tank",outcome="failed"} 1',
      'varve_agent_import_duration_seconds_count{pool="tank",outcome="cancelled"} 1',
      'varve_agent_layer_bytes_total{pool="tank"} 9',
      'varve_agent_layer_duration_seconds_count{pool="tank"} 1',
      'varve_agent_clones_made_total{pool="tank"} 2',
      'varve_agent_clone_destroy_duration_seconds_count{pool="tank"} 1',
    ])
      assert.ok(text.includes(`${line}\n`), `${line} is missing:\n${text}`)
  })

  it('hands on all else as it is', async () => {
    const inner = answeringService()
    const service = new MeasuredService(
      inner,
      createAgentMetrics(async () => []),
      'tank',
    )
    assert.equal(await service.describe(), await inner.describe())
    assert.deepEqual(await service.images(), await inner.images())
    assert.deepEqual(await service.inspect(imageName), await inner.inspect(imageName))
    assert.deepEqual(await service.removeImage(imageName), await inner.removeImage(imageName))
    assert.deepEqual(await service.clones(), await inner.clones())
    assert.deepEqual(await service.inspectClone(clone.name), await inner.inspectClone(clone.name))
    assert.deepEqual(await service.prune({}), await inner.prune({}))
    assert.deepEqual(await service.history(), await inner.history())
    assert.deepEqual(await service.publish(imageName), await inner.publish(imageName))
    assert.deepEqual(await service.published(), await inner.published())
    await service.unpublish(published.uuid)
  })
})
