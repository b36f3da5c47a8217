import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../src/errors.ts'
import { createMirrorMetrics } from '../../../src/metrics/mirror-metrics.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { leadRun } from '../../../src/registry/mirror/lead-run.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import {
  endsWell,
  eventually,
  leadPartsOver,
  mirrorJob,
  ScriptedRuns,
  startRunner,
} from '../../support/mirror-runners.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const everySecond = { schedule: { cron: '* * * * * *', jitterSeconds: 0 } }

describe('The runner of mirror jobs', () => {
  let directory: TemporaryDirectory
  let metadata: Metadata
  let count = 0
  before(async () => {
    directory = await temporaryDirectory()
  })
  after(() => directory.remove())
  beforeEach(async () => {
    count += 1
    metadata = await openSqliteMetadata(join(directory.path, `${count}.db`))
  })
  afterEach(() => metadata[Symbol.asyncDispose]())

  const wish = async (job: string) =>
    await metadata.wishMirrorRun(parseMirrorJobName(job), { trigger: 'api', by: 'alice', at: new Date() })
  const runsOf = async (job: string) =>
    await metadata.listMirrorRuns({ job: parseMirrorJobName(job), limit: 100 })
  const outcomes = async (job: string) => (await runsOf(job)).map(({ outcome }) => outcome)

  it('runs what somebody wishes, once however often it was wished, and tells why and how it ended', async () => {
    const runs = new ScriptedRuns(endsWell)
    for (let times = 0; times < 5; times++) await wish('a')
    await using _runner = startRunner(metadata, runs, [mirrorJob('a'), mirrorJob('b')])
    await eventually('the end', async () => (await outcomes('a'))[0] === 'ok')
    await sleep(100)
    const [run, ...others] = await runsOf('a')
    assert.deepEqual(others, [])
    assert.deepEqual([run?.trigger, run?.by, run?.totals.unchanged], ['api', 'alice', 3])
    assert.ok(run?.endedAt !== undefined)
    assert.deepEqual(await runsOf('b'), [])
    assert.deepEqual(await metadata.listMirrorWishes(), [])
  })

  it('runs a job by its schedule, in one of several replicas', async () => {
    const runs = new ScriptedRuns()
    const job = mirrorJob('a', everySecond)
    await using one = startRunner(metadata, runs, [job])
    await using other = startRunner(metadata, runs, [job])
    await using third = startRunner(metadata, runs, [job])
    await eventually('the beginning', () => runs.begun.length > 0)
    await sleep(1500)
    assert.equal(runs.begun.length, 1)
    assert.deepEqual(
      (await runsOf('a')).map(({ trigger, outcome }) => [trigger, outcome]),
      [['schedule', undefined]],
    )
    await Promise.all([one, other, third].map(runner => runner[Symbol.asyncDispose]()))
  })

  it('goes on with what was stopped with its process: in another one, at once', async () => {
    const runs = new ScriptedRuns()
    const jobs = [mirrorJob('a')]
    const first = startRunner(metadata, runs, jobs)
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    await first[Symbol.asyncDispose]()
    assert.deepEqual(await outcomes('a'), ['stopped'])
    assert.equal((await runsOf('a'))[0]?.totals.copied, 1)
    await using second = startRunner(metadata, runs, jobs)
    await eventually('the next run', () => runs.begun.length === 2)
    const [next] = await runsOf('a')
    assert.deepEqual([next?.trigger, next?.by, next?.outcome], ['api', 'alice', undefined])
    await second[Symbol.asyncDispose]()
  })

  it('leaves word before what it stops is recorded as stopped, for it may die in between', async () => {
    const runs = new ScriptedRuns()
    let left: unknown
    const records: Metadata = {
      ...metadata,
      saveMirrorRun: async (id, progress, options) => {
        if (progress.outcome === 'stopped') left = (await metadata.listMirrorWishes())[0]?.wish.by
        await metadata.saveMirrorRun(id, progress, options)
      },
    }
    const runner = startRunner(records, runs, [mirrorJob('a')])
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    await runner[Symbol.asyncDispose]()
    assert.equal(left, 'alice')
  })

  it('forgets what it measured of a job that is deleted while it runs', async () => {
    const metrics = createMirrorMetrics()
    const runs = new ScriptedRuns()
    const name = parseMirrorJobName('a')
    const definition = JSON.stringify(mirrorJob('a'))
    await metadata.putMirrorJob({ name, definition, updatedAt: new Date() })
    await using _runner = startRunner(metadata, runs, [], { metrics })
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    await metadata.deleteMirrorJob(name)
    await eventually('no gauge of it', async () => !(await metrics.text()).includes('running{job="a"}'))
    await sleep(100)
    assert.ok(!(await metrics.text()).includes('running{job="a"}'))
  })

  it('begins again what was interrupted, when nobody leads it any more', async () => {
    const runs = new ScriptedRuns(endsWell)
    const job = parseMirrorJobName('a')
    const startedAt = new Date()
    const dead = newMirrorRunId(startedAt)
    await metadata.leaseMirrorJob(job, { holder: 'dead', until: new Date(Date.now() + 3_600_000) })
    await metadata.beginMirrorRun({ id: dead, job, trigger: 'webhook', by: null, startedAt })
    await using _runner = startRunner(metadata, runs, [mirrorJob('a')])
    await sleep(200)
    assert.equal(runs.begun.length, 0)
    await metadata.leaseMirrorJob(job, { holder: 'dead', until: new Date() })
    await eventually('the run', async () => (await outcomes('a'))[0] === 'ok')
    assert.deepEqual(
      (await runsOf('a')).map(({ outcome, trigger }) => [outcome, trigger]),
      [
        ['ok', 'webhook'],
        ['interrupted', 'webhook'],
      ],
    )
  })

  it('runs others while some are led elsewhere, and never more at once than it may', async () => {
    const runs = new ScriptedRuns(async () => {
      await sleep(20)
      return await endsWell()
    })
    const led = ['a', 'b', 'c']
    const free = ['d', 'e', 'f', 'g', 'h']
    for (const name of led)
      await metadata.leaseMirrorJob(parseMirrorJobName(name), {
        holder: 'another',
        until: new Date(Date.now() + 60_000),
      })
    for (const name of [...led, ...free]) await wish(name)
    await using _runner = startRunner(
      metadata,
      runs,
      [...led, ...free].map(name => mirrorJob(name)),
    )
    await eventually('all that can', () => runs.begun.length === free.length)
    assert.deepEqual(runs.begun.map(({ job }) => job).sort(), free)
    assert.equal(runs.most, 2)
    assert.deepEqual((await metadata.listMirrorWishes()).map(({ job }) => job as string).sort(), led)
  })

  it('lets others run while one is paused', async () => {
    const runs = new ScriptedRuns()
    const jobs = ['a', 'b', 'c'].map(name => mirrorJob(name))
    for (const { name } of jobs) await wish(name)
    await using _runner = startRunner(metadata, runs, jobs, { jobsAtOnce: 1 })
    await eventually('the first', () => runs.begun.length === 1)
    await sleep(100)
    assert.equal(runs.begun.length, 1)
    runs.begun[0]?.context.progress?.paused?.(new Date(), 'the source asks for it')
    await eventually('the second', () => runs.begun.length === 2)
    await sleep(100)
    assert.equal(runs.begun.length, 2)
  })

  it('stops the run of a job that is deleted, or disabled, and does not go on with it', async () => {
    const runs = new ScriptedRuns()
    const put = async (name: string, more: object = {}) =>
      await metadata.putMirrorJob({
        name: parseMirrorJobName(name),
        definition: JSON.stringify(mirrorJob(name, more)),
        updatedAt: new Date(),
      })
    await put('a')
    await put('b')
    await using _runner = startRunner(metadata, runs)
    await wish('a')
    await wish('b')
    await eventually('both', () => runs.begun.length === 2)
    await metadata.deleteMirrorJob(parseMirrorJobName('a'))
    await put('b', { enabled: false })
    await eventually('both ends', () => runs.begun.every(({ context }) => context.signal?.aborted === true))
    await eventually('the record', async () => (await outcomes('b'))[0] === 'stopped')
    await sleep(100)
    assert.equal(runs.begun.length, 2)
    assert.deepEqual(await runsOf('a'), [])
  })

  it('runs a job anew that was wished again while it ran', async () => {
    const gate = Promise.withResolvers<void>()
    const runs = new ScriptedRuns(async () => {
      await gate.promise
      return await endsWell()
    })
    await using runner = startRunner(metadata, runs, [mirrorJob('a')], { times: { pollMs: 60_000 } })
    await wish('a')
    runner.wake()
    await eventually('the beginning', () => runs.begun.length === 1)
    await wish('a')
    gate.resolve()
    await eventually('the second', async () => (await outcomes('a')).join() === 'ok,ok')
  })

  it('stops a run whose lease is lost, and leaves the record to who has it now', async () => {
    const runs = new ScriptedRuns()
    let isMine = true
    const records: Metadata = {
      ...metadata,
      leaseMirrorJob: async (...args) => isMine && (await metadata.leaseMirrorJob(...args)),
    }
    await using runner = startRunner(records, runs, [mirrorJob('a')], { leaseMs: 3_000 })
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    isMine = false
    await eventually('the end', () => runs.begun[0]?.context.signal?.aborted === true)
    await runner[Symbol.asyncDispose]()
    assert.deepEqual(await outcomes('a'), [undefined])
    assert.deepEqual(await metadata.listMirrorWishes(), [])
  })

  it('outlives a database that is away for a while, and keeps its lease as long as nobody can have it', async () => {
    const runs = new ScriptedRuns()
    let isAway = false
    const refusal = Promise.withResolvers<void>()
    const unlessAway =
      <Args extends unknown[], Answer>(method: (...args: Args) => Promise<Answer>) =>
      async (...args: Args): Promise<Answer> => {
        if (isAway) throw new DomainError('unavailable', 'The database is away.', { resource: 'database' })
        return await method(...args)
      }
    const records: Metadata = {
      ...metadata,
      leaseMirrorJob: async (...args) => {
        if (isAway) refusal.resolve()
        return await unlessAway(async () => await metadata.leaseMirrorJob(...args))()
      },
      listMirrorJobs: unlessAway(
        async (...args: Parameters<Metadata['listMirrorJobs']>) => await metadata.listMirrorJobs(...args),
      ),
      listMirrorWishes: unlessAway(
        async (...args: Parameters<Metadata['listMirrorWishes']>) => await metadata.listMirrorWishes(...args),
      ),
    }
    await using _runner = startRunner(records, runs, [mirrorJob('a'), mirrorJob('b')], { leaseMs: 9_000 })
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    isAway = true
    // The lease could not be extended when it was time.
    await refusal.promise
    isAway = false
    await wish('b')
    await eventually('the other', () => runs.begun.length === 2)
    assert.equal(runs.begun[0]?.context.signal?.aborted, false)
  })

  it('says in the record why a run could not do its work', async () => {
    const runs = new ScriptedRuns(async job => {
      throw job.name === 'a'
        ? new DomainError('unavailable', 'The database is away.', { resource: 'database' })
        : new Error('a bug with hidden details')
    })
    await using _runner = startRunner(metadata, runs, [mirrorJob('a'), mirrorJob('b'), mirrorJob('c')], {
      open: async job => {
        if (job.name === 'c')
          throw new DomainError('invalid', 'There are no credentials x.', { resource: 'config' })
        return await leadPartsOver(metadata, runs).open(job, { requests: 0 } as never)
      },
    })
    for (const name of ['a', 'b', 'c']) await wish(name)
    const reasons = async () =>
      await Promise.all(['a', 'b', 'c'].map(async name => (await runsOf(name))[0]?.reason))
    await eventually('all', async () => !(await reasons()).includes(undefined))
    assert.deepEqual(await reasons(), [
      'The database is away.',
      "An unexpected error, which is in the registry's log.",
      'There are no credentials x.',
    ])
    assert.deepEqual(await outcomes('a'), ['failed'])
  })

  it('measures runs, and knows the last success after a restart', async () => {
    const job = parseMirrorJobName('a')
    const endedAt = new Date('2030-01-01T00:00:00Z')
    for (const [index, outcome] of (['ok', 'failed'] as const).entries()) {
      const startedAt = new Date(endedAt.getTime() + index)
      const id = newMirrorRunId(startedAt)
      await metadata.beginMirrorRun({ id, job, trigger: 'api', by: null, startedAt })
      await metadata.saveMirrorRun(id, { totals: noTotals, outcome, endedAt })
    }
    const metrics = createMirrorMetrics()
    const runs = new ScriptedRuns()
    await using runner = startRunner(metadata, runs, [mirrorJob('a')], { metrics })
    await eventually('the last success', async () =>
      (await metrics.text()).includes(
        `varve_mirror_last_success_timestamp_seconds{job="a"} ${endedAt.getTime() / 1000}`,
      ),
    )
    await wish('a')
    await eventually('the run', () => runs.begun.length === 1)
    assert.ok((await metrics.text()).includes('varve_mirror_running{job="a"} 1'))
    const { context } = runs.begun[0] ?? assert.fail()
    context.progress?.paused?.(new Date(), 'the source asks for it')
    context.traffic.request({ host: 'quay.io', method: 'HEAD', what: 'manifest', status: 200 })
    context.traffic.request({ host: 'cdn.quay.io', method: 'GET', what: 'blob', status: 206 })
    context.traffic.bytes('received', 4096)
    context.traffic.quota({ limit: 100, remaining: 76, windowSeconds: 21_600, at: new Date() })
    const text = await metrics.text()
    for (const line of [
      'varve_mirror_paused{job="a"} 1',
      'varve_mirror_requests_total{job="a",host="source",what="manifest",code="200"} 1',
      'varve_mirror_requests_total{job="a",host="other",what="blob",code="206"} 1',
      'varve_mirror_bytes_total{job="a",direction="received"} 4096',
      'varve_mirror_source_pulls_remaining{registry="quay.io"} 76',
    ])
      assert.ok(text.includes(line), line)
    await runner[Symbol.asyncDispose]()
    assert.ok((await metrics.text()).includes('varve_mirror_runs_total{job="a",outcome="stopped"} 1'))
    assert.ok((await metrics.text()).includes('varve_mirror_running{job="a"} 0'))
  })

  it('lets a command run a job only when nobody else leads it', async () => {
    const runs = new ScriptedRuns()
    await using _runner = startRunner(metadata, runs, [mirrorJob('a')])
    await wish('a')
    await eventually('the beginning', () => runs.begun.length === 1)
    const parts = leadPartsOver(metadata, new ScriptedRuns(endsWell))
    const beginning = async () => ({ trigger: 'command', by: null }) as const
    assert.equal(await leadRun(mirrorJob('a'), parts, { beginning }), undefined)
    const led = await leadRun(mirrorJob('b'), parts, { beginning })
    assert.deepEqual([led?.outcome, led?.isLost], ['ok', false])
    const again = await leadRun(mirrorJob('b'), parts, { beginning })
    assert.equal(again?.outcome, 'ok')
  })
})
