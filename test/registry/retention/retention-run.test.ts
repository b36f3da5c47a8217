import assert from 'node:assert/strict'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { decideTags } from '../../../src/registry/retention/decide-tags.ts'
import { planTags } from '../../../src/registry/retention/plan.ts'
import { parseDigest } from '../../../src/storage/digest.ts'
import { defaultKeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import { parseReference, parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { freshRepository } from '../../support/records.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { RetentionWorld } from '../../support/retention-world.ts'
import { dayMs, policyFrom } from '../../support/tag-facts.ts'

const { graceMs, undeleteMs, objectDelayMs } = defaultKeepTimes
const waitMs = Math.max(graceMs, undeleteMs)
const hourMs = 3_600_000

/** No time at all. */
const short = { tickMs: 0, readsLabels: false }

describe('A run of the retention', () => {
  let world: RetentionWorld
  before(async () => {
    world = await RetentionWorld.open()
  })
  after(() => world[Symbol.asyncDispose]())

  it('drops what the plan says, and the collection frees its blobs', async () => {
    const repository = freshRepository()
    const written = {
      repositories: [repository],
      rules: [
        { tags: ['v*'], keepNewest: 5 },
        { tags: ['pr-*'], pushedWithin: '30d', pulledWithin: '10d' },
      ],
    }
    const pushed = new Map<string, { layer: string; digest: Awaited<ReturnType<typeof world.push>> }>()
    for (let day = 0; day < 60; day++) {
      const tag = day % 3 === 0 ? `v${day}` : day % 3 === 1 ? `pr-${day}` : `keep-${day}`
      const layer = `layer ${day} of ${repository}`
      pushed.set(tag, { layer, digest: await world.push(repository, [tag], { layer }) })
      world.clock.time += dayMs
    }
    const pulled = pushed.get('pr-1')?.digest ?? assert.fail()
    await world.metadata.notePulled([{ repository, digest: pulled, at: new Date(world.clock.time - dayMs) }])

    const times = { now: new Date(world.clock.time), pullsKnownSince: new Date(0) }
    const policies = [policyFrom(written)]
    const plan = (await planTags(world.metadata, repository, policies, times, {})) ?? assert.fail()
    const staying = plan.filter(({ outcome }) => outcome === 'kept').map(({ facts }) => facts.tag)
    assert.deepEqual(
      staying.filter(tag => tag.startsWith('v')),
      ['v45', 'v48', 'v51', 'v54', 'v57'],
    )
    assert.ok(staying.some(tag => tag === 'pr-1') && !staying.some(tag => tag === 'pr-4'))
    assert.equal(staying.filter(tag => tag.startsWith('keep')).length, 20)

    await world.metadata.agreeOn('pulls-noted-since', new Date(0).toISOString())
    const tick = await world.run([written])
    assert.equal(tick.tags, 60 - staying.length)
    assert.equal(tick.skipped, 0)
    assert.deepEqual(await world.tagsOf(repository), staying)
    assert.equal((await world.run([written])).tags, 0, 'again changes nothing')

    world.clock.time += waitMs
    await world.collect()
    world.clock.time += graceMs
    await world.collect()
    world.clock.time += objectDelayMs
    await world.collect()
    const left = new Set<string>(staying)
    for (const [tag, { digest }] of pushed)
      assert.equal(await world.hasManifest(repository, digest), left.has(tag), tag)
    const { bytes } = await world.metadata.countWaiting()
    assert.equal(bytes, 0)
  })

  it('tells events and the audit log what it has dropped, and why', async () => {
    const repository = freshRepository()
    await world.push(repository, ['old'], { layer: 'a' })
    world.clock.time += dayMs
    await world.push(repository, ['new'], { layer: 'b' })
    await world.run([{ repositories: [repository], rules: [{ keepNewest: 1 }] }])
    const [entry] = await world.metadata.listAudit({ limit: 1, target: repository })
    assert.deepEqual(
      [entry?.account, entry?.operation, entry?.reference, entry?.outcome, entry?.rule],
      [
        'varve-retention',
        'retention.drop',
        'old',
        'allowed',
        'not one of the newest 1 by push: rule 1 of policy p0',
      ],
    )
    const { newest } = await world.metadata.eventBounds()
    const [event] = await world.metadata.listEvents({ after: newest - 1, limit: 1 })
    assert.ok(event?.kind === 'tag')
    assert.deepEqual([event.action, event.tag, event.by?.account], ['delete', 'old', 'varve-retention'])
  })

  it('drops what has no tag, by policy, but nothing that is asked for', async () => {
    const repository = freshRepository()
    const policy = { repositories: [repository], untaggedAfter: '7d' }
    const [first, second] = [
      await world.push(repository, ['v1'], { layer: '1' }),
      await world.push(repository, ['v1'], { layer: '2' }),
    ]
    world.clock.time += 6 * dayMs
    assert.equal((await world.run([policy])).manifests, 0)
    await world.metadata.notePulled([{ repository, digest: first, at: new Date(world.clock.time) }])
    world.clock.time += 6 * dayMs
    assert.equal((await world.run([policy])).manifests, 0)
    world.clock.time += dayMs
    assert.equal((await world.run([policy])).manifests, 1)
    world.clock.time += waitMs
    await world.collect()
    assert.deepEqual(
      [await world.hasManifest(repository, first), await world.hasManifest(repository, second)],
      [false, true],
    )
  })

  it('leaves copies of upstreams alone, and only shows what a policy would do that only shows it', async () => {
    const copies = parseRepositoryName('copies/app')
    const shown = freshRepository()
    for (const repository of [copies, shown]) await world.push(repository, ['v1'])
    await world.run([
      { repositories: ['copies/**'], rules: [{ dropAlways: true }], untaggedAfter: '1h' },
      { repositories: [shown], rules: [{ dropAlways: true }], untaggedAfter: '1h', dryRun: true },
    ])
    assert.deepEqual([await world.tagsOf(copies), await world.tagsOf(shown)], [['v1'], ['v1']])
  })

  it('does nothing while the collection is paused, nor what another process is at', async () => {
    const repository = freshRepository()
    await world.push(repository, ['v1'])
    const policies = [{ repositories: [repository], rules: [{ dropAlways: true }] }]
    await world.metadata.pauseCollection('somebody')
    assert.equal((await world.ticker(policies).tick({ runs: true })).outcome, 'paused')
    await world.metadata.resumeCollection()
    const until = new Date(world.clock.time + 1000)
    await world.metadata.leaseRetention({ holder: 'another', until })
    assert.equal((await world.ticker(policies).tick({ runs: true })).outcome, 'elsewhere')
    assert.deepEqual(await world.tagsOf(repository), ['v1'])
    world.clock.time += 1000
    assert.equal((await world.run(policies)).tags, 1)
  })

  it('goes on where its time was over, in whichever process, until all is done', async () => {
    const repositories = ['a', 'b', 'c'].map(name => parseRepositoryName(`slices/${name}`))
    for (const repository of repositories)
      for (let n = 0; n < 5; n++) await world.push(repository, [`v${n}`], { layer: `${n}` })
    const policies = [{ repositories: ['slices/*'], rules: [{ dropAlways: true }] }]
    let tick = await world.ticker(policies, { tickMs: 15 }, 'first').tick({ runs: true })
    let total = tick.tags
    for (let round = 0; tick.outcome === 'more' && round < 500; round++) {
      tick = await world.ticker(policies, { tickMs: 15 }, `holder ${round}`).tick()
      total += tick.tags
    }
    assert.equal(tick.outcome, 'done')
    const { totals, endedAt } = await world.metadata.retentionState()
    assert.deepEqual([total, totals.tags], [15, 15])
    assert.ok(totals.repositories >= 3 && endedAt !== null)
    for (const repository of repositories) assert.deepEqual(await world.tagsOf(repository), [])
  })

  it('gets on though deciding on one repository takes longer than there is time', async () => {
    const repository = parseRepositoryName('slow/app')
    for (let n = 0; n < 5; n++) await world.push(repository, [`v${n}`], { layer: `${n}` })
    const policies = [{ repositories: ['slow/*'], rules: [{ tags: ['v*'], dropAlways: true }] }]
    let tick = await world.ticker(policies, short).tick({ runs: true })
    for (let round = 0; tick.outcome === 'more' && round < 20; round++)
      tick = await world.ticker(policies, short).tick()
    assert.equal(tick.outcome, 'done')
    assert.deepEqual(await world.tagsOf(repository), [])
  })

  it('ends its tick in time though nothing goes, and is paused in between', async () => {
    for (const name of ['a', 'b', 'c']) await world.push(parseRepositoryName(`calm/${name}`), ['v1'])
    const policies = [{ repositories: ['calm/*'], rules: [{ keepAlways: true }] }]
    const ticks = [await world.ticker(policies, short).tick({ runs: true })]
    await world.metadata.pauseCollection('somebody')
    ticks.push(await world.ticker(policies, short).tick())
    await world.metadata.resumeCollection()
    while (ticks.at(-1)?.outcome !== 'done') ticks.push(await world.ticker(policies, short).tick())
    assert.deepEqual(
      ticks.map(({ outcome, repositories }) => [outcome, repositories]),
      [
        ['more', 1],
        ['paused', 0],
        ['more', 1],
        ['done', 1],
      ],
    )
  })

  it('applies policies though the labels of an image cannot be read now', async () => {
    const repository = freshRepository()
    await world.run([])
    const digest = await world.push(repository, ['v1'], { labels: { 'varve.expires-after': '1h' } })
    const { bytes } = await world.metadata.getManifest(repository, { kind: 'digest', digest })
    const config: unknown = JSON.parse(Buffer.from(bytes).toString()).config.digest
    const { objectKey } = await world.metadata.findBlob(repository, parseDigest(String(config)))
    const object = await buffer((await world.objects.get(objectKey)).stream)
    await world.objects.delete([objectKey])
    const policies = [{ repositories: [repository], rules: [{ dropAlways: true }] }]
    await rejectsWith('unavailable', world.ticker(policies).tick({ runs: true }))
    assert.deepEqual(await world.tagsOf(repository), [])
    await world.objects.put(objectKey, object)
    assert.equal((await world.run(policies)).labelled, 0)
  })

  it('begins by its schedule, once for several times that were missed, and in its window', async () => {
    const repository = freshRepository()
    const policies = [{ repositories: [repository], rules: [{ keepNewest: 1 }] }]
    world.clock.time = Date.UTC(2030, 0, 1, 12)
    const ticker = world.ticker(policies, { schedule: '0 3 * * *' })
    const beganAt = async () => (await world.metadata.retentionState()).beganAt?.getTime()
    const earlier = await beganAt()
    world.clock.time = Date.UTC(2030, 0, 1, 12, 1)
    // The last run was before three o'clock of that day.
    await ticker.tick()
    assert.notEqual(await beganAt(), earlier)
    const first = await beganAt()
    world.clock.time = Date.UTC(2030, 0, 2, 2, 59)
    await ticker.tick()
    assert.equal(await beganAt(), first)
    world.clock.time = Date.UTC(2030, 0, 5, 3, 1)
    await ticker.tick()
    assert.equal(await beganAt(), world.clock.time)
    await ticker.tick()
    const closed = world.ticker(policies, { schedule: '0 3 * * *', window: { from: 22 * 60, to: 6 * 60 } })
    world.clock.time = Date.UTC(2030, 0, 6, 12)
    await closed.tick()
    assert.equal(await beganAt(), Date.UTC(2030, 0, 5, 3, 1))
    world.clock.time = Date.UTC(2030, 0, 6, 22)
    await closed.tick()
    assert.equal(await beganAt(), world.clock.time)
  })

  it('stops at once, and what it has done is in the audit log', async () => {
    const repository = freshRepository()
    for (let n = 0; n < 40; n++) await world.push(repository, [`v${n}`], { layer: `${n}` })
    const policies = [{ repositories: [repository], rules: [{ dropAlways: true }] }]
    const stopping = new AbortController()
    const running = world.ticker(policies).tick({ runs: true, signal: stopping.signal })
    const stopped = assert.rejects(running, { name: 'AbortError' })
    // In the middle, however long that takes on this machine.
    while ((await world.tagsOf(repository)).length === 40) await new Promise(resolve => setImmediate(resolve))
    stopping.abort()
    await stopped
    const left = await world.tagsOf(repository)
    const entries = await world.metadata.listAudit({ limit: 100, target: repository })
    assert.equal(entries.length, 40 - left.length)
    assert.equal((await world.run(policies)).tags, left.length)
  })

  it('keeps tags that are pushed at the moment in which they go', async () => {
    const repository = freshRepository()
    const tags = Array.from({ length: 40 }, (_, n) => `v${n}`)
    for (const tag of tags) await world.push(repository, [tag], { layer: tag })
    world.clock.time += dayMs
    const policies = [{ repositories: [repository], rules: [{ pushedWithin: '12h' }] }]
    const [tick] = await Promise.all([
      world.ticker(policies).tick({ runs: true }),
      (async () => {
        for (const tag of [...tags].reverse()) await world.push(repository, [tag], { layer: tag })
      })(),
    ])
    assert.deepEqual(await world.tagsOf(repository), [...tags].sort())
    for (const tag of tags) {
      const facts = await world.metadata.findTagFacts(repository, parseTag(tag))
      assert.equal(facts?.pushedAt.getTime(), world.clock.time)
    }
    assert.ok(tick.tags + tick.skipped <= 40)
    world.clock.time += 100 * waitMs
    await world.collect()
    for (const tag of tags) await world.metadata.statManifest(repository, parseReference(tag))
  })

  it('decides on ten thousand tags', async () => {
    const repository = freshRepository()
    const names = Array.from({ length: 10_000 }, (_, n) => `t${n}`)
    for (let start = 0; start < names.length; start += 1000) {
      await world.push(repository, names.slice(start, start + 1000))
      world.clock.time += hourMs
    }
    const times = { now: new Date(world.clock.time), pullsKnownSince: new Date(0) }
    const hostile = policyFrom({
      rules: Array.from({ length: 10 }, (_, n) => ({
        tags: Array.from({ length: 20 }, () => `${'*t'.repeat(60)}*${n}`),
        keepNewest: 1,
      })),
    })
    const verdicts = (await planTags(world.metadata, repository, [hostile], times, {})) ?? assert.fail()
    assert.equal(verdicts.length, 10_000)
    assert.ok(verdicts.every(({ outcome }) => outcome === 'kept'))
    const facts = verdicts.map(each => each.facts)
    const newest = decideTags(facts, [policyFrom({ rules: [{ keepNewest: 1500 }] })], times)
    assert.equal(newest.filter(({ outcome }) => outcome === 'kept').length, 1500)
    const nothing = await planTags(world.metadata, parseRepositoryName('no/such'), [hostile], times, {})
    assert.deepEqual(nothing, [])
    await rejectsWith('not_found', world.tagsOf(parseRepositoryName('no/such')))
  })
})
