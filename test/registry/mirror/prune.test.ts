import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRegistry } from '../../support/memory-images.ts'
import { MirrorBench, mirrorJob } from '../../support/mirror-run.ts'

/** Ten tags at both ends, `v0` to `v9`, and what somebody else has put at the target. */
async function mirrored() {
  const source = new MemoryRegistry('upstream.example')
  const target = new MemoryRegistry('varve')
  const bench = new MirrorBench(source, target)
  const graph = new ImageGraph()
  const image = graph.image({ layers: ['one'] })
  const [here, there] = [source.at('acme/web'), target.at('acme/web')]
  for (const content of [here, there]) content.take(graph)
  for (let index = 0; index < 10; index += 1) here.tag(`v${index}`, image)
  await bench.run(mirrorJob())
  there.tag('own', image)
  bench.records.takeOutcomes()
  return { source, target, bench, here, there, image }
}

const tags = { include: ['v.*'] }

describe('pruning', () => {
  it('deletes what the source has no more, and what the job means only', async () => {
    const { bench, here, there } = await mirrored()
    here.tags.delete('v3')
    await bench.run(mirrorJob({ tags }))
    assert.equal(there.tags.size, 11, 'off')
    const report = await bench.run(mirrorJob({ tags, prune: { mode: 'report' } }))
    assert.equal(report.totals.skipped, 1)
    assert.equal(there.tags.size, 11, 'report')
    assert.match(bench.records.results.at(-1)?.reason ?? '', /prune\.mode: report/)
    const run = await bench.run(mirrorJob({ tags, prune: { mode: 'delete' } }))
    assert.equal(run.totals.deleted, 1)
    assert.equal(there.tags.has('v3'), false)
    assert.equal(there.tags.has('own'), true)
  })

  it('deletes nothing when it would be more than the job lets it', async () => {
    const { bench, here, there } = await mirrored()
    for (const tag of ['v1', 'v2', 'v3']) here.tags.delete(tag)
    const run = await bench.run(mirrorJob({ tags, prune: { mode: 'delete' } }))
    assert.deepEqual([run.totals.deleted, run.totals.skipped], [0, 3])
    assert.match(bench.records.results[0]?.reason ?? '', /3 of 10 tags would be deleted, .* 20 percent/)
    await bench.run(mirrorJob({ tags, prune: { mode: 'delete', maxPercent: 30 } }))
    assert.equal(there.tags.size, 8)
  })

  it('deletes nothing when the source lists nothing, or not any more, or fails in between', async () => {
    const all = { mode: 'delete', maxPercent: 100 }
    const { source, bench, here, there } = await mirrored()
    const kept = new Map(here.tags)
    here.tags.clear()
    await bench.run(mirrorJob({ tags, prune: all }))
    here.tags.set('other', kept.get('v0') ?? assert.fail())
    await bench.run(mirrorJob({ tags, prune: all }))
    source.content.delete('acme/web')
    const gone = await bench.run(mirrorJob({ tags, prune: all }))
    assert.equal(gone.outcome, 'failed')
    assert.match(gone.reason ?? '', /What the target has of it stays\.$/)
    source.content.set('acme/web', here)
    source.onRequest = ({ what }) => {
      if (what === 'tags') throw new DomainError('unavailable', 'Away.', { resource: 'registry' })
    }
    await bench.run(mirrorJob({ tags, prune: all }))
    assert.equal(there.tags.size, 11)
  })

  it('asks for each tag before it deletes it, for a list may lack some', async () => {
    const { source, bench, here, there } = await mirrored()
    here.tags.delete('v5')
    const repository = source.repository.bind(source)
    source.repository = name => {
      const one = repository(name)
      const list = one.tags.bind(one)
      one.tags = async function* () {
        for await (const tag of list()) if (tag !== 'v4') yield tag
      }
      return one
    }
    await bench.run(mirrorJob({ tags, prune: { mode: 'delete' } }))
    assert.equal(there.tags.has('v4'), true)
    assert.equal(there.tags.has('v5'), false)
    assert.deepEqual(bench.records.takeOutcomes(), ['v4 skipped', 'v5 deleted'])
  })

  it('leaves what only is not among the newest any more', async () => {
    const { bench, here, there, image } = await mirrored()
    for (const tag of ['1.0.0', '1.1.0']) here.tag(tag, image)
    const job = mirrorJob({
      tags: { semver: '>=1', newest: 1 },
      prune: { mode: 'delete', maxPercent: 100 },
    })
    await bench.run(job)
    here.tag('2.0.0', image)
    await bench.run(job)
    assert.equal(there.tags.has('1.1.0'), true)
    here.tags.delete('1.1.0')
    await bench.run(job)
    assert.equal(there.tags.has('1.1.0'), false)
  })

  it('prunes tags by name as well, which are no failure then', async () => {
    const { bench, here, there } = await mirrored()
    here.tags.delete('v3')
    const job = mirrorJob({ tags: { names: ['v3', 'v4'] }, prune: { mode: 'delete', maxPercent: 50 } })
    assert.equal((await bench.run(job)).outcome, 'ok')
    assert.equal(there.tags.has('v3'), false)
  })

  it('deletes after it has copied, in repositories that it could copy from', async () => {
    const { source, target, bench, here } = await mirrored()
    here.tags.delete('v3')
    const order: string[] = []
    target.onRequest = ({ what, name }) => {
      if (what === 'put' || what === 'delete') order.push(`${what} ${name}`)
    }
    const graph = new ImageGraph()
    here.tag('v10', graph.image({ layers: ['two'] }))
    here.take(graph)
    source.onRequest = ({ what }) => {
      if (what === 'blob' || what === 'get') assert.ok(!order.includes('delete v3'))
    }
    await bench.run(mirrorJob({ tags, prune: { mode: 'delete' } }))
    assert.equal(order.at(-1), 'delete v3')
    assert.ok(order.includes('put v10'))
  })

  it('tells of repositories that are gone, and deletes none', async () => {
    const { source, target, bench, here } = await mirrored()
    for (const name of ['acme/api', 'other/api']) source.content.set(name, here)
    for (const name of ['mirror/acme/old', 'mirror/acme/api', 'mirror/other/x', 'acme/y'])
      target.content.set(name, target.at('acme/web'))
    const job = mirrorJob({
      repositories: ['acme/*'],
      target: { prefix: 'mirror/' },
      tags,
      prune: { mode: 'delete', maxPercent: 100 },
    })
    const run = await bench.run(job)
    const told = bench.records.results.filter(({ tag }) => tag === null)
    assert.deepEqual(
      told.map(({ target, outcome }) => `${target} ${outcome}`),
      ['varve/mirror/acme/old skipped'],
    )
    assert.equal(run.totals.deleted, 0)
    assert.equal(target.content.has('mirror/acme/old'), true)
  })
})
