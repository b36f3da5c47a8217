import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { expiryLabelIn, expiryLabelOf } from '../../../src/registry/retention/expiry-label.ts'
import { parseReference, parseTag } from '../../../src/storage/reference.ts'
import { interceptObjects } from '../../support/intercepted.ts'
import { freshRepository } from '../../support/records.ts'
import { RetentionWorld } from '../../support/retention-world.ts'

const hourMs = 3_600_000

describe('Labels that say when a tag goes', () => {
  it('are understood, or say nothing', () => {
    for (const [labels, ms] of [
      [{ 'varve.expires-after': '2h' }, 2 * hourMs],
      [{ 'quay.expires-after': ' 3d ' }, 72 * hourMs],
      [{ 'quay.expires-after': '1w', 'varve.expires-after': '1h' }, hourMs],
      [{ 'quay.expires-after': '1w', 'varve.expires-after': 'soon' }, 168 * hourMs],
      [{ 'quay.expires-after': 'never' }, undefined],
      [{ 'quay.expires-after': 7 }, undefined],
      [{ 'quay.expires-after': ['1h'] }, undefined],
      [['1h'], undefined],
      [null, undefined],
      ['varve.expires-after', undefined],
    ] as const)
      assert.equal(expiryLabelOf(labels), ms, JSON.stringify(labels))
    assert.equal(expiryLabelOf(Object.create({ 'varve.expires-after': '1h' })), undefined)
  })

  it('are looked for in whatever a config is', () => {
    for (const text of [
      '',
      '[]',
      'null',
      '"config"',
      '{"config":null}',
      '{"config":{"Labels":"x"}}',
      '{"config":{"Labels":null}}',
      '{"__proto__":{"config":{"Labels":{"varve.expires-after":"1h"}}}}',
      '['.repeat(500_000),
      `{"config":${'{"a":'.repeat(100_000)}`,
    ])
      assert.equal(expiryLabelIn(Buffer.from(text)), undefined, text.slice(0, 40))
  })
})

describe('Tags with a time', () => {
  let world: RetentionWorld
  before(async () => {
    world = await RetentionWorld.open()
  })
  after(() => world[Symbol.asyncDispose]())

  const label = (text: string) => ({ labels: { 'varve.expires-after': text } })
  const tick = () => world.ticker().tick()

  it('go when the label of their image says so, and the manifest after them', async () => {
    const repository = freshRepository()
    const digest = await world.push(repository, ['v1', 'v2'], label('2h'))
    await world.push(repository, ['stays'])
    const pushedAt = world.clock.time
    assert.equal((await tick()).labelled, 2)
    assert.equal(await world.expiryOf(repository, 'v1'), pushedAt + 2 * hourMs)
    assert.equal((await tick()).labelled, 0, 'each is read once')
    world.clock.time += 2 * hourMs - 1
    assert.equal((await tick()).expired, 0)
    world.clock.time += 1
    assert.equal((await tick()).expired, 2)
    assert.deepEqual(await world.tagsOf(repository), ['stays'])
    const [entry] = await world.metadata.listAudit({ limit: 1, target: repository })
    assert.match(entry?.rule ?? '', /^its time was 20/)
    world.clock.time += 48 * hourMs
    await world.collect()
    assert.ok(!(await world.hasManifest(repository, digest)))
  })

  it('go by an annotation, and an index when all of its images say so', async () => {
    const repository = freshRepository()
    await world.push(repository, ['annotated'], { annotations: { 'quay.expires-after': '1h' } })
    const [short, long] = [
      await world.push(repository, [], label('1h')),
      await world.push(repository, [], label('3h')),
    ]
    const forever = await world.push(repository, [], { layer: 'x' })
    await world.pushIndex(repository, ['all'], [short, long])
    await world.pushIndex(repository, ['some'], [short, forever])
    await world.pushIndex(repository, ['own'], [forever], { annotations: { 'varve.expires-after': '5h' } })
    await tick()
    const hours = async (tag: string) => {
      const at = await world.expiryOf(repository, tag)
      return at === undefined ? undefined : (at - world.clock.time) / hourMs
    }
    assert.deepEqual(await Promise.all(['annotated', 'all', 'some', 'own'].map(hours)), [1, 3, undefined, 5])
  })

  it('stay when they are pushed anew, for as long as the new push says', async () => {
    const repository = freshRepository()
    await world.push(repository, ['moved', 'same'], label('1h'))
    await tick()
    world.clock.time += hourMs
    await world.push(repository, ['moved'], { layer: 'new' })
    await world.push(repository, ['same'], label('1h'))
    // Before anybody has read the label of the new push.
    await tick()
    assert.deepEqual(await world.tagsOf(repository), ['moved', 'same'])
    assert.equal(await world.expiryOf(repository, 'moved'), undefined)
    assert.equal(await world.expiryOf(repository, 'same'), world.clock.time + hourMs)
  })

  it('stay when somebody has said so, before or after the label was read', async () => {
    const repository = freshRepository()
    await world.push(repository, ['a', 'b'], label('1h'))
    await world.metadata.setTagExpiry(repository, parseTag('a'), undefined)
    await tick()
    await world.metadata.setTagExpiry(repository, parseTag('b'), undefined)
    world.clock.time += 2 * hourMs
    await tick()
    assert.deepEqual(await world.tagsOf(repository), ['a', 'b'])
  })

  it('go though others in front of them may not be changed by now', async () => {
    const { name: tenant } = await world.metadata.createTenant({ name: 'fixed' as never })
    const repository = `${tenant}/app` as ReturnType<typeof freshRepository>
    await world.push(repository, ['v1', 'x1'], label('1h'))
    await tick()
    await world.metadata.addTagRule({ tenant, repositories: `${tenant}/**`, tags: 'v*' })
    world.clock.time += hourMs
    assert.equal((await tick()).expired, 1)
    assert.deepEqual(await world.tagsOf(repository), ['v1'])
    assert.equal(await world.expiryOf(repository, 'v1'), undefined)
  })

  it('are left alone while a store is away, and read when it is back', async () => {
    const repository = freshRepository()
    await world.push(repository, ['v1'], label('1h'))
    let isAway = true
    const put = Reflect.get(world, 'objects')
    const away = interceptObjects(put, async (_method, call) => {
      if (isAway) throw new DomainError('unavailable', 'away', { resource: 'object' })
      return await call()
    })
    Object.defineProperty(world, 'objects', { value: away, configurable: true })
    await assert.rejects(tick(), { code: 'unavailable' })
    isAway = false
    assert.equal((await tick()).labelled, 1)
  })

  it('stay when the config is nonsense, too large, or gone', async () => {
    const repository = freshRepository()
    const huge = Buffer.from(
      JSON.stringify({ config: { Labels: { 'varve.expires-after': '1h', x: 'x'.repeat(1024 * 1024) } } }),
    )
    const pushes = [Buffer.from('{'), Buffer.from([0xff, 0x00]), huge, Buffer.from('[]')]
    for (const [index, config] of pushes.entries()) await world.push(repository, [`v${index}`], { config })
    const later = await world.push(repository, ['last'], label('1h'))
    assert.equal((await tick()).labelled, 1)
    assert.equal((await world.metadata.statManifest(repository, parseReference('last'))).digest, later)
  })

  it('of copies of upstreams stay', async () => {
    const repository = 'copies/app' as ReturnType<typeof freshRepository>
    await world.push(repository, ['v1'], label('1h'))
    assert.equal((await tick()).labelled, 0)
  })
})
