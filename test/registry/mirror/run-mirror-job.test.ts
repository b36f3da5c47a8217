import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { guardedTarget } from '../../../src/registry/mirror/guarded-target.ts'
import type { MirrorObserver } from '../../../src/registry/mirror/run-job.ts'
import { digestOf, hexOf } from '../../../src/storage/digest.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRegistry } from '../../support/memory-images.ts'
import { MirrorBench, mirrorJob } from '../../support/mirror-run.ts'

const notation = 'application/vnd.cncf.notary.signature'

interface Scene {
  readonly source: MemoryRegistry
  readonly target: MemoryRegistry
  readonly bench: MirrorBench
  /** An image of its own for each text, under these tags of `acme/web` at the source. */
  readonly push: (text: string, ...tags: readonly string[]) => StoredManifest
  readonly sign: (text: string, subject: StoredManifest) => void
}

function scene(): Scene {
  const source = new MemoryRegistry('upstream.example')
  const target = new MemoryRegistry('varve')
  const web = source.at('acme/web')
  return {
    source,
    target,
    bench: new MirrorBench(source, target),
    push: (text, ...tags) => {
      const graph = new ImageGraph()
      const config = JSON.stringify({ created: `${text.padStart(4, '2')}-01-01T00:00:00Z` })
      const image = graph.image({ layers: ['base', text], config })
      web.take(graph)
      for (const tag of tags) web.tag(tag, image)
      return image
    },
    sign: (text, subject) => {
      const graph = new ImageGraph()
      graph.image({ layers: [text], subject, artifactType: notation })
      web.take(graph)
    },
  }
}

describe('a run of a mirror job', () => {
  it('copies what is not there, and asks one HEAD for each tag the next time', async () => {
    const { source, target, bench, push, sign } = scene()
    const images = Array.from({ length: 20 }, (_, index) => push(`${index}`, `v${index}`))
    if (images[3] !== undefined) sign('signed', images[3])
    const job = mirrorJob({ tags: { names: images.map((_, index) => `v${index}`) } })

    const first = await bench.run(job)
    assert.equal(first.outcome, 'ok', first.reason)
    assert.equal(first.totals.copied, 20)
    assert.deepEqual(
      Object.fromEntries(target.at('acme/web').tags),
      Object.fromEntries(source.at('acme/web').tags),
    )
    assert.equal(target.at('acme/web').manifests.size, 21)

    source.takeCounts()
    const second = await bench.run(job)
    assert.deepEqual(source.takeCounts(), { head: 20 })
    assert.equal(second.totals.unchanged, 20)
    assert.equal(second.totals.copied, 0)
  })

  it('asks for the list as well where tags are not named, and nothing else', async () => {
    const { source, bench, push } = scene()
    for (let index = 0; index < 10; index += 1) push(`${index}`, `v${index}`)
    await bench.run(mirrorJob())
    source.takeCounts()
    await bench.run(mirrorJob())
    assert.deepEqual(source.takeCounts(), { tags: 1, head: 10 })
  })

  it('asks nothing of tags that never change and are there', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    push('2', 'latest')
    const job = mirrorJob({ tags: { names: ['v1', 'latest'], immutable: ['v.*'] } })
    await bench.run(job)
    source.takeCounts()
    push('3', 'v1')
    assert.equal((await bench.run(job)).totals.unchanged, 2)
    assert.deepEqual(source.requests, [{ repository: 'acme/web', what: 'head', name: 'latest' }])
  })

  it('looks at what belongs to an unchanged tag again after a while, and takes what is new', async () => {
    const { source, target, bench, push, sign } = scene()
    const image = push('1', 'v1')
    const job = mirrorJob({ tags: { names: ['v1'] } })
    await bench.run(job)
    sign('late', image)
    await bench.run(job)
    assert.equal(target.at('acme/web').manifests.size, 1)
    bench.clock += 24 * 3_600_000
    source.takeCounts()
    const run = await bench.run(job)
    assert.equal(run.totals.copied, 1)
    assert.equal(target.at('acme/web').manifests.size, 2)
    bench.clock += 24 * 3_600_000
    assert.equal((await bench.run(job)).totals.unchanged, 1)
  })

  it('looks at what belongs to a tag that never changes, too, and leaves it as it is when the source let go of it', async () => {
    const { source, target, bench, push, sign } = scene()
    const image = push('1', 'v1')
    const job = mirrorJob({ tags: { names: ['v1'], immutable: ['v1'] } })
    await bench.run(job)
    sign('late', image)
    bench.clock += 24 * 3_600_000
    assert.equal((await bench.run(job)).totals.copied, 1)
    assert.equal(target.at('acme/web').manifests.size, 2)
    source.content.clear()
    source.at('acme/web')
    bench.clock += 24 * 3_600_000
    assert.deepEqual((await bench.run(job)).totals.unchanged, 1)
  })

  it('goes on past a bad tag, and says which it was and why', async () => {
    const { source, bench, push } = scene()
    push('1', 'good')
    push('2', 'bad')
    source.at('acme/web').blobs.set(digestOf(Buffer.from('2')), Buffer.from('x'))
    const run = await bench.run(mirrorJob({ tags: { names: ['bad', 'good', 'missing'] } }))
    assert.equal(run.outcome, 'partial')
    assert.match(run.reason ?? '', /^2 of 3 failed; the first: upstream\.example\/acme\/web:/)
    assert.deepEqual(bench.records.takeOutcomes(), ['bad failed', 'good copied', 'missing failed'])
  })

  it('goes on past a repository that may not be stored, and asks the source nothing of it', async () => {
    const { source, target, push } = scene()
    push('1', 'v1')
    const guarded = guardedTarget(target, { readOnly: false, upstreamPrefixes: ['docker.io'] })
    const bench = new MirrorBench(source, guarded)
    const run = await bench.run(mirrorJob({ repositories: ['docker.io/library/debian', 'acme/web'] }))
    assert.deepEqual([run.outcome, run.totals.copied, run.totals.failed], ['partial', 1, 1])
    const { tag, reason } = bench.records.results.find(({ outcome }) => outcome === 'failed') ?? assert.fail()
    assert.equal(tag, null)
    assert.match(reason ?? '', /^docker\.io\/library\/debian is below docker\.io\/, /)
    assert.ok(!source.requests.some(request => JSON.stringify(request).includes('docker.io')))
  })

  it('tells of what it was given that nothing fits', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    source.at('acme/empty')
    const repositories = ['acme/w*', 'acm/*', 'acme/web', 'acme/empty']
    const run = await bench.run(mirrorJob({ repositories, tags: { include: ['1.*'] } }))
    assert.deepEqual([run.outcome, run.totals.copied], ['ok', 0])
    const told = bench.records.results.map(one => [one.source, one.tag, one.outcome, one.reason])
    assert.deepEqual(told, [
      ['upstream.example/acm/*', null, 'skipped', "Nothing in the source's catalog fits it."],
      [
        'upstream.example/acme/web',
        null,
        'skipped',
        'None of the tags that the source has in it (1) is one that the job means (tags).',
      ],
      ['upstream.example/acme/empty', null, 'skipped', 'The source has no tags in it.'],
    ])
  })

  it('keeps what is there, or fails, where the job says so', async () => {
    for (const [overwrite, outcome] of [
      ['keep', 'skipped'],
      ['fail', 'failed'],
      ['replace', 'copied'],
    ]) {
      const { target, bench, push } = scene()
      const before = push('1', 'v1')
      const job = mirrorJob({ overwrite, tags: { names: ['v1'] } })
      await bench.run(job)
      bench.records.takeOutcomes()
      const after = push('2', 'v1')
      await bench.run(job)
      assert.deepEqual(bench.records.takeOutcomes(), [`v1 ${outcome}`])
      const expected = overwrite === 'replace' ? after : before
      assert.equal(target.at('acme/web').tags.get('v1'), expected.digest)
    }
  })

  it('takes what is signed, by referrers or by the tag of cosign, if only that is wanted', async () => {
    const { source, bench, push, sign } = scene()
    push('1', 'bare')
    sign('signature', push('2', 'signed'))
    const old = push('3', 'cosigned')
    push('4', `sha256-${hexOf(old.digest)}.sig`)
    const job = mirrorJob({ onlySigned: true })
    await bench.run(job)
    assert.deepEqual(bench.records.takeOutcomes(), ['bare skipped', 'cosigned copied', 'signed copied'])
    source.takeCounts()
    await bench.run(mirrorJob({ onlySigned: true, tags: { names: ['cosigned', 'signed'] } }))
    assert.deepEqual(source.takeCounts(), { head: 2 })
  })

  it('makes tags name the one platform that is wanted, and knows them again', async () => {
    const { source, target, bench } = scene()
    const graph = new ImageGraph()
    const [amd, arm] = [graph.image({ layers: ['amd64'] }), graph.image({ layers: ['arm64'] })]
    const index = graph.index([
      { child: amd, platform: { os: 'linux', architecture: 'amd64' } },
      { child: arm, platform: { os: 'linux', architecture: 'arm64' } },
    ])
    const web = source.at('acme/web')
    web.take(graph)
    web.tag('v1', index)
    for (const overwrite of ['replace', 'fail']) {
      const job = mirrorJob({
        overwrite,
        platforms: ['linux/arm64'],
        platformMode: 'single',
        tags: { names: ['v1'] },
      })
      assert.equal((await bench.run(job)).outcome, 'ok')
      assert.deepEqual([...target.at('acme/web').manifests.keys()], [arm.digest])
      source.takeCounts()
      assert.equal((await bench.run(job)).totals.unchanged, 1)
      assert.deepEqual(source.takeCounts(), { head: 1 })
    }
    bench.records.notes.clear()
    const again = await bench.run(mirrorJob({ platforms: ['linux/arm64'], platformMode: 'single' }))
    assert.equal(again.totals.unchanged, 1, 'found out by the copy')
    const fail = { overwrite: 'fail', platforms: ['linux/amd64'], platformMode: 'single' }
    assert.equal((await bench.run(mirrorJob({ ...fail, name: 'other' }))).outcome, 'failed')
    const none = { platforms: ['linux/s390x'], platformMode: 'single', name: 'third' }
    const missing = await bench.run(mirrorJob(none))
    assert.match(missing.reason ?? '', /linux\/s390x/)
  })

  it('of a job that takes something else now looks at unchanged tags again, once', async () => {
    const { source, target, bench } = scene()
    const graph = new ImageGraph()
    const [amd, arm] = [graph.image({ layers: ['amd64'] }), graph.image({ layers: ['arm64'] })]
    const index = graph.index([
      { child: amd, platform: { os: 'linux', architecture: 'amd64' } },
      { child: arm, platform: { os: 'linux', architecture: 'arm64' } },
    ])
    const web = source.at('acme/web')
    web.take(graph)
    web.tag('v1', index)
    const run = async (rules: object): Promise<string> => {
      const { outcome, totals } = await bench.run(mirrorJob({ tags: { names: ['v1'] }, ...rules }))
      assert.equal(outcome, 'ok')
      return totals.copied > 0 ? 'copied' : 'unchanged'
    }
    const has = () => [amd, arm, index].map(({ digest }) => target.at('acme/web').manifests.has(digest))
    const without = { referrers: { include: false } }
    for (const referrers of [{}, without]) {
      target.content.clear()
      bench.records.notes.clear()
      const single = { ...referrers, platforms: ['linux/amd64'], platformMode: 'single' }
      assert.equal(await run(single), 'copied')
      assert.deepEqual(has(), [true, false, false])
      assert.equal(await run({ ...single, platforms: ['linux/arm64'] }), 'copied')
      assert.deepEqual(has(), [true, true, false])
      const sparse = { ...referrers, platforms: ['linux/arm64'] }
      assert.equal(await run(sparse), 'copied')
      target.at('acme/web').manifests.delete(amd.digest)
      // The same index: what was left out of it comes when all of it is wanted.
      assert.equal(await run(referrers), 'copied')
      assert.deepEqual(has(), [true, true, true])
      source.takeCounts()
      assert.equal(await run(referrers), 'unchanged')
      assert.deepEqual(source.takeCounts(), { head: 1 })
    }
    // In another order it is the same.
    const types = ['application/a', 'application/b']
    await run({ referrers: { artifactTypes: types } })
    source.takeCounts()
    await run({ referrers: { artifactTypes: types.toReversed(), recheckHours: 48 } })
    assert.deepEqual(source.takeCounts(), { head: 1 })
  })

  it('takes the newest by version, and by time with two requests for each image that is not known', async () => {
    const { source, target, bench, push } = scene()
    push('2001', '1.0.0')
    push('2005', '0.9.0')
    push('2003', '1.10.0')
    push('2004', '1.9.0')
    await bench.run(mirrorJob({ tags: { semver: '*', newest: 2 } }))
    assert.deepEqual([...target.at('acme/web').tags.keys()].sort(), ['1.10.0', '1.9.0'])
    target.content.clear()
    source.takeCounts()
    await bench.run(mirrorJob({ tags: { newest: 2 } }))
    assert.deepEqual([...target.at('acme/web').tags.keys()].sort(), ['0.9.0', '1.9.0'])
    source.takeCounts()
    const second = await bench.run(mirrorJob({ tags: { newest: 2 } }))
    assert.deepEqual(source.takeCounts(), { tags: 1, head: 4 })
    assert.equal(second.totals.unchanged, 2)
  })
})

describe('a run and who holds it up', () => {
  const throttled = (retryAfterSeconds?: number): DomainError =>
    new DomainError('throttled', 'upstream.example takes no more requests now.', {
      resource: 'registry',
      retryAfterSeconds,
    })

  it('waits as long as the source says, and goes on where it was', async () => {
    const { source, bench, push } = scene()
    for (let index = 0; index < 30; index += 1) push(`${index}`, `v${index}`)
    let gets = 0
    source.onRequest = ({ what }) => {
      gets += what === 'get' ? 1 : 0
      if (bench.pauses.length === 0 && gets > 10) throw throttled(60)
    }
    const run = await bench.run(mirrorJob())
    assert.deepEqual([run.outcome, run.totals.copied], ['ok', 30])
    assert.deepEqual(bench.pauses, [{ seconds: 60, reason: 'upstream.example takes no more requests now.' }])
    const paused = bench.records.saved.find(({ resumeAt }) => resumeAt !== undefined)
    assert.equal(paused?.outcome, undefined)
    assert.equal(bench.records.saved.at(-1)?.resumeAt, undefined)
  })

  it('waits longer each time for who says "in a second" every time, and outlasts a minute of that', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    const throttledUntil = bench.clock + 60_000
    source.onRequest = () => {
      if (bench.clock < throttledUntil) throw throttled(1)
    }
    assert.equal((await bench.run(mirrorJob())).outcome, 'ok')
    assert.deepEqual(
      bench.pauses.map(({ seconds }) => seconds),
      [1, 1, 2, 4, 8, 16, 32],
    )
  })

  it('is over when waiting never helps', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    source.onRequest = () => {
      throw throttled()
    }
    const run = await bench.run(mirrorJob())
    assert.equal(run.outcome, 'failed')
    assert.match(run.reason ?? '', /^It was asked to wait 20 times/)
    assert.equal(bench.pauses.length, 20)
    assert.ok(bench.pauses.every(({ seconds }) => seconds <= 3600))
  })

  it('believes in no wait longer than six hours', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    source.onRequest = () => {
      if (bench.pauses.length === 0) throw throttled(1e12)
    }
    assert.equal((await bench.run(mirrorJob())).outcome, 'ok')
    assert.deepEqual(
      bench.pauses.map(({ seconds }) => seconds),
      [6 * 3600],
    )
  })

  it('pulls no more than the quota lets it, but for what is under way, and compares on', async () => {
    const { source, bench, push } = scene()
    for (let index = 0; index < 10; index += 1) push(`${index}`, `v${index}`)
    let remaining = 14
    source.onRequest = ({ what }) => {
      if (what !== 'get') return
      remaining -= 1
      if (bench.pauses.length === 1) remaining = 100
      source.pullQuota = { limit: 100, remaining, windowSeconds: 600, at: new Date(bench.clock) }
      assert.ok(remaining >= 8 - 1, 'a pull that was not allowed any more')
    }
    const job = mirrorJob({ limits: { pullsLeft: 8, concurrency: 1 }, referrers: { include: false } })
    const run = await bench.run(job)
    assert.equal(run.totals.copied, 10)
    assert.deepEqual(
      bench.pauses.map(({ seconds }) => seconds),
      [600],
    )
    assert.match(bench.pauses[0]?.reason ?? '', /8 more manifests for now \(limits\.pullsLeft: 8\)/)
  })

  it('works in its window only', async () => {
    const { bench, push } = scene()
    for (let index = 0; index < 5; index += 1) push(`${index}`, `v${index}`)
    const opens = new Date(bench.clock + 3_600_000)
    const run = await bench.run(mirrorJob(), { notBefore: now => (now < opens ? opens : undefined) })
    assert.equal(run.outcome, 'ok')
    assert.deepEqual(bench.pauses, [{ seconds: 3600, reason: "It is outside of the job's window." }])
  })

  it('tries again after an outage, and is over when there is no end of it', async () => {
    const { source, bench, push } = scene()
    for (let index = 0; index < 50; index += 1) push(`${index}`, `v${index}`)
    const away = new DomainError('unavailable', 'upstream.example does not answer.', { resource: 'registry' })
    let failures = 0
    source.onRequest = ({ what }) => {
      failures += 1
      if (what === 'head' && failures % 3 === 0) throw away
    }
    assert.equal((await bench.run(mirrorJob({ limits: { concurrency: 1 } }))).outcome, 'ok')
    source.onRequest = ({ what }) => {
      if (what === 'head') throw away
    }
    source.requests = []
    const run = await bench.run(mirrorJob())
    assert.equal(run.outcome, 'failed')
    assert.match(run.reason ?? '', /^It failed 10 times one after the other; the last time: upstream/)
    assert.ok(source.requests.length < 50)
  })

  it('stops when it is told to, and keeps what it has found', async () => {
    const { source, bench, push } = scene()
    for (let index = 0; index < 50; index += 1) push(`${index}`, `v${index}`)
    const stop = new AbortController()
    let puts = 0
    source.onRequest = ({ what }) => {
      puts += what === 'get' ? 1 : 0
      if (puts === 20) stop.abort()
    }
    const run = await bench.run(mirrorJob(), { signal: stop.signal })
    assert.deepEqual([run.outcome, run.reason], ['stopped', 'It was stopped.'])
    assert.ok(run.totals.copied > 5 && run.totals.copied < 25, String(run.totals.copied))
    assert.equal(bench.records.results.length, run.totals.copied)
    assert.equal(run.totals.failed, 0)
    source.onRequest = () => {}
    assert.equal((await bench.run(mirrorJob())).totals.copied, 50 - run.totals.copied)
  })

  it('tells of images that are copied, of tags that are done, and of how far it is', async () => {
    const { bench, push, sign } = scene()
    const image = push('1', 'v1')
    const job = mirrorJob()
    const told: string[] = []
    const progress: MirrorObserver = {
      copying: ({ source, target, tag }) => {
        told.push(`copying ${source}:${tag} to ${target}`)
        return { manifest: (digest, what) => told.push(`${digest === image.digest} ${what}`) }
      },
      done: ({ tag, outcome }) => told.push(`${tag} ${outcome}`),
      totals: ({ copied, unchanged }) => told.push(`${copied} and ${unchanged}`),
    }
    await bench.run(job, { progress })
    assert.deepEqual(told.splice(0), [
      'copying upstream.example/acme/web:v1 to varve/acme/web',
      'true begun',
      'true copied',
      'v1 copied',
      '1 and 0',
    ])
    bench.clock += 24 * 3_600_000
    await bench.run(job, { progress })
    assert.deepEqual(told.splice(0), ['v1 unchanged', '0 and 1'], 'nothing is copied')
    sign('late', image)
    bench.clock += 24 * 3_600_000
    await bench.run(job, { progress })
    assert.ok(told.includes('false copied'), told.join())
  })

  it('leaves no listener behind', async () => {
    const { bench, push } = scene()
    push('1', 'v1')
    const { signal } = new AbortController()
    await bench.run(mirrorJob(), { signal })
    await bench.run(mirrorJob(), { signal })
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })

  it('says of what nobody foresaw that it is in the log, and goes on', async () => {
    const { source, bench, push } = scene()
    push('1', 'v1')
    push('2', 'v2')
    source.onRequest = ({ name }) => {
      if (name === 'v1') throw new TypeError('a bug')
    }
    const run = await bench.run(mirrorJob())
    assert.deepEqual([run.outcome, run.totals.copied], ['partial', 1])
    assert.match(run.reason ?? '', /An unexpected error, which is in the registry's log\.$/)
  })

  it('ends when nothing can be recorded any more', async () => {
    const { bench, push } = scene()
    push('1', 'v1')
    bench.records.addMirrorResults = () => Promise.reject(new Error('no database'))
    await assert.rejects(bench.run(mirrorJob()), /no database/)
  })
})
