import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRegistry } from '../../support/memory-images.ts'
import { MirrorBench, mirrorJob } from '../../support/mirror-run.ts'

describe('the plan of a mirror job', () => {
  it('says for each tag what a run would do and why, and changes nothing', async () => {
    const source = new MemoryRegistry('upstream.example')
    const target = new MemoryRegistry('varve')
    const bench = new MirrorBench(source, target)
    const graph = new ImageGraph()
    const [one, two] = [graph.image({ layers: ['1'] }), graph.image({ layers: ['2'] })]
    for (const content of [source.at('acme/web'), target.at('acme/web')]) content.take(graph)
    const [here, there] = [source.at('acme/web'), target.at('acme/web')]
    here.tag('same', one)
    await bench.run(mirrorJob())
    here.tag('new', one)
    here.tag('moved', one)
    there.tag('moved', two)
    here.tag('pushed-by-hand', one)
    there.tag('pushed-by-hand', one)
    for (const tag of ['gone', 'moved']) there.tag(tag, two)
    source.at('acme/empty')
    const job = mirrorJob({
      repositories: ['acme/web', 'acme/none', 'acme/e*'],
      tags: { exclude: ['private-.*'] },
      prune: { mode: 'delete', maxPercent: 50 },
    })
    target.takeCounts()
    const steps = await bench.plan(job)
    assert.deepEqual(steps.map(({ source, tag, action }) => `${source}:${tag ?? ''} ${action}`).sort(), [
      'upstream.example/acme/none: fail',
      'upstream.example/acme/web:gone delete',
      'upstream.example/acme/web:moved copy',
      'upstream.example/acme/web:new copy',
      'upstream.example/acme/web:pushed-by-hand recheck',
      'upstream.example/acme/web:same unchanged',
    ])
    assert.equal(steps.find(({ tag }) => tag === 'new')?.reason, 'It is not at the target.')
    assert.match(
      steps.find(({ tag }) => tag === 'moved')?.reason ?? '',
      /^It names sha256:.* at the source\.$/,
    )
    const asked = Object.keys(target.takeCounts())
    assert.deepEqual(
      asked.filter(what => !['head', 'tags', 'catalog'].includes(what)),
      [],
    )

    const run = await bench.run(job)
    assert.equal(run.totals.copied, 2)
    assert.equal(run.totals.deleted, 1)
    assert.equal(run.outcome, 'partial')
    const after = await bench.plan(job)
    assert.deepEqual(new Set(after.map(({ action }) => action)), new Set(['fail', 'unchanged']))
  })

  it('says what is wrong with names', async () => {
    const source = new MemoryRegistry('upstream.example')
    const bench = new MirrorBench(source, new MemoryRegistry('varve'))
    for (const name of ['acme/web', 'web', 'api']) source.at(name)
    const clash = await bench.plan(
      mirrorJob({ repositories: ['**'], target: { stripPrefix: 'acme/' }, tags: { names: ['v1'] } }),
    )
    assert.deepEqual(clash.map(({ source, action }) => `${source} ${action}`).sort(), [
      'upstream.example/acme/web fail',
      'upstream.example/api fail',
      'upstream.example/web fail',
    ])
    assert.match(clash[0]?.reason ?? '', /would all be web at the target/)
    const [bad] = await bench.plan(mirrorJob({ target: { prefix: '/x//' } }))
    assert.match(bad?.reason ?? '', /is not a repository name/)
  })

  it('says that there is no catalog, and goes on with what has a name', async () => {
    const source = new MemoryRegistry('upstream.example')
    source.at('acme/web')
    source.onRequest = ({ what }) => {
      if (what === 'catalog')
        throw new DomainError('unsupported', 'upstream.example has no catalog.', { resource: 'registry' })
    }
    const graph = new ImageGraph()
    source.at('acme/web').tag('v1', graph.image({ layers: ['1'] }))
    source.at('acme/web').take(graph)
    const bench = new MirrorBench(source, new MemoryRegistry('varve'))
    const steps = await bench.plan(mirrorJob({ repositories: ['acme/*', 'acme/web'] }))
    assert.deepEqual(
      steps.map(({ action, reason }) => `${action} ${reason}`),
      ['fail upstream.example has no catalog.', 'copy It is not at the target.'],
    )
  })

  it('ends with an abort, and asks nothing more', async () => {
    const source = new MemoryRegistry('upstream.example')
    const graph = new ImageGraph()
    const image = graph.image({ layers: ['1'] })
    source.at('acme/web').take(graph)
    for (let index = 0; index < 100; index += 1) source.at('acme/web').tag(`v${index}`, image)
    const bench = new MirrorBench(source, new MemoryRegistry('varve'))
    let steps = 0
    for await (const _ of bench.steps(mirrorJob())) {
      steps += 1
      if (steps === 5) break
    }
    assert.ok(source.requests.length < 12, `${source.requests.length} requests`)
    await assert.rejects(Array.fromAsync(bench.steps(mirrorJob(), AbortSignal.abort())), {
      name: 'AbortError',
    })
  })
})
