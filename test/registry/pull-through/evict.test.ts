import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type EvictionRule, evict } from '../../../src/registry/pull-through/evict.ts'
import { Evictor } from '../../../src/registry/pull-through/evictor.ts'
import { parseTenantName } from '../../../src/storage/accounts/names.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'
import { testLog } from '../../support/test-logs.ts'

const dayMs = 24 * 60 * 60 * 1000
const prefix = parseRepositoryName('up')
const repository = parseRepositoryName('up/a')

describe('eviction', { timeout: 60_000 }, () => {
  let stack: AsyncDisposableStack
  let source: RegistryClient
  let upstream: CountedUpstream
  let registry: TestRegistry
  let client: RegistryClient
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await startRegistry())
    source = new RegistryClient(url)
    upstream = stack.use(await countUpstream(url))
    const upstreams = [{ name: 'there', registry: upstream.host, prefix: 'up' }]
    registry = stack.use(await startPullThrough({ upstreams }))
    client = new RegistryClient(registry.url)
  })
  afterEach(() => stack.disposeAsync())

  const run = (rule: Partial<EvictionRule>, days: number) =>
    evict([{ name: 'there', prefix, afterMs: undefined, maxBytes: undefined, ...rule }], {
      records: registry.metadata,
      log: testLog(),
      now: () => Date.now() + days * dayMs,
    })
  const tags = () => registry.metadata.listTags(repository, { limit: 100 })

  async function pull(tag: string, layer: Buffer): Promise<void> {
    assert.equal((await client.send('GET', `/v2/up/a/manifests/${tag}`)).status, 200)
    for (const blob of [Buffer.from('{}'), layer]) {
      const { status, bytes } = await client.send('GET', `/v2/up/a/blobs/${digestOf(blob)}`)
      assert.equal(status, 200)
      assert.deepEqual(bytes, blob)
    }
    // What has come is kept a moment later.
    while (!(await isHere(layer))) await new Promise(resolve => setTimeout(resolve, 10))
  }

  const isHere = (blob: Buffer): Promise<boolean> =>
    registry.metadata.findBlob(repository, digestOf(blob)).then(
      () => true,
      () => false,
    )

  it('lets go of what nobody has pulled for so long, with its blobs, and it can be had again', async () => {
    const [old, young] = [Buffer.from('old'), Buffer.from('young')]
    await source.pushImage('a', 'old', old)
    await source.pushImage('a', 'young', young)
    await pull('old', old)
    await pull('young', young)
    await registry.metadata.notePulled([
      {
        repository,
        digest: digestOf(manifestOf(Buffer.from('{}'), [young])),
        at: new Date(Date.now() + 5 * dayMs),
      },
    ])
    await run({ afterMs: 7 * dayMs }, 6)
    assert.deepEqual(await tags(), ['old', 'young'])
    await run({ afterMs: 7 * dayMs }, 8)
    assert.deepEqual(await tags(), ['young'])
    assert.equal(await isHere(old), false)
    assert.equal(await isHere(young), true)
    await pull('old', old)
    assert.deepEqual(await tags(), ['old', 'young'])
  })

  it('keeps what an index names that stays, and lets go of it with the index', async () => {
    const layer = Buffer.from('layer')
    const child = manifestOf(Buffer.from('{}'), [layer])
    await source.pushImage('a', 'child', layer)
    const index = indexOf([[child, mediaTypes.ociManifest]])
    await source.putManifest('a', 'multi', index, mediaTypes.ociIndex)
    await client.send('GET', '/v2/up/a/manifests/multi')
    await client.send('GET', `/v2/up/a/manifests/${digestOf(child)}`)
    const at = new Date(Date.now() + 5 * dayMs)
    await registry.metadata.notePulled([{ repository, digest: digestOf(index), at }])
    await run({ afterMs: 7 * dayMs }, 8)
    const reference = { kind: 'digest', digest: digestOf(child) } as const
    assert.equal((await registry.metadata.statManifest(repository, reference)).size, child.length)
    await run({ afterMs: 7 * dayMs }, 13)
    await assert.rejects(registry.metadata.statManifest(repository, reference), { code: 'not_found' })
    assert.deepEqual(await tags().catch(() => []), [])
  })

  it('lets go of what was pulled longest ago when there is too much, until enough is gone', async () => {
    const layers = Array.from({ length: 10 }, (_, i) => Buffer.alloc(100_000, i))
    for (const [i, layer] of layers.entries()) {
      await source.pushImage('a', `t${i}`, layer)
      await pull(`t${i}`, layer)
      const digest = digestOf(manifestOf(Buffer.from('{}'), [layer]))
      await registry.metadata.notePulled([{ repository, digest, at: new Date(Date.now() + (10 - i) * 1000) }])
    }
    await run({ maxBytes: 2_000_000 }, 1)
    assert.equal((await tags()).length, 10)
    await run({ maxBytes: 900_000 }, 1)
    const bytes = await registry.metadata.bytesBelow(prefix)
    assert.ok(bytes <= 810_000, String(bytes))
    const left = await tags()
    assert.ok(!left.some(tag => tag === 't9'))
  })

  it('leaves what was pulled in the last hour, though its pull was noted up to an hour before', async () => {
    const layer = Buffer.from('layer')
    await source.pushImage('a', '1', layer)
    await pull('1', layer)
    for (const rule of [{ maxBytes: 1 }, { afterMs: 1 }]) {
      await run(rule, 1.9 / 24)
      assert.deepEqual(await tags(), ['1'])
      assert.equal(await isHere(layer), true)
    }
    await run({ maxBytes: 1 }, 2.1 / 24)
    assert.equal(await isHere(layer), false)
  })

  it('is one process’s work, until that stops', async () => {
    const layers = ['one', 'two', 'three'].map(text => Buffer.from(text))
    const evictor = (holder: string): Evictor =>
      new Evictor([{ name: 'there', prefix, afterMs: 7 * dayMs, maxBytes: undefined }], {
        records: registry.metadata,
        leases: registry.metadata,
        log: testLog(),
        holder,
        everyMs: 3_600_000,
        now: () => Date.now() + 8 * dayMs,
      })
    const come = async (): Promise<void> => {
      const layer = layers.pop() ?? assert.fail()
      await source.pushImage('a', layer.toString(), layer)
      await pull(layer.toString(), layer)
    }
    const [first, second] = [evictor('first'), evictor('second')]
    await come()
    assert.equal(await first.tick(), true)
    assert.deepEqual(await tags().catch(() => []), [])
    await come()
    assert.equal(await second.tick(), false)
    assert.equal((await tags()).length, 1)
    assert.equal(await first.tick(), true)
    assert.deepEqual(await tags().catch(() => []), [])
    // It has nothing to give back.
    await second[Symbol.asyncDispose]()
    assert.equal(await evictor('third').tick(), false)
    await first[Symbol.asyncDispose]()
    await come()
    assert.equal(await second.tick(), true)
    assert.deepEqual(await tags().catch(() => []), [])
  })

  it('leaves what a tenant protects, and still comes to an end', async () => {
    const layer = Buffer.from('kept')
    await source.pushImage('a', 'keep', layer)
    await pull('keep', layer)
    await source.pushImage('a', 'go', Buffer.from('going'))
    await pull('go', Buffer.from('going'))
    const tenant = parseTenantName('up')
    await registry.metadata.createTenant({ name: tenant })
    await protect(registry, tenant)
    await run({ afterMs: 7 * dayMs, maxBytes: 1 }, 8)
    assert.deepEqual(await tags(), ['keep'])
  })
})

async function protect(
  { metadata }: TestRegistry,
  tenant: ReturnType<typeof parseTenantName>,
): Promise<void> {
  await metadata.addTagRule({ tenant, repositories: '**', tags: 'keep' })
}
