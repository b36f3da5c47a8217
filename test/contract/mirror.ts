import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { isContentEvent, type RunEvent } from '../../src/storage/metadata/event-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type {
  MirrorJobName,
  MirrorResult,
  MirrorRunId,
  MirrorWish,
  NewMirrorRun,
} from '../../src/storage/metadata/mirror-records.ts'
import { noTotals as nothing } from '../../src/storage/metadata/mirror-row.ts'
import { parseTag } from '../../src/storage/reference.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** The executable half of MirrorRecords. */
export function mirrorContract(name: string, open: (now: () => number) => Promise<OpenedMetadata>): void {
  describe(`${name} as MirrorRecords`, () => {
    const clock: TestClock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    let metadata: Metadata
    before(async () => {
      opened = await open(() => clock.time)
      metadata = opened.metadata
    })
    after(() => opened.close())

    const at = (ms = 0): Date => new Date(clock.time + ms)
    const racer = (index: number): Metadata => (index % 2 === 0 ? opened.metadata : opened.replica)
    const race = <Result>(count: number, run: (metadata: Metadata, index: number) => Promise<Result>) =>
      Promise.all(Array.from({ length: count }, (_, index) => run(racer(index), index)))

    function newRun(job: MirrorJobName, change: Partial<NewMirrorRun> = {}): NewMirrorRun {
      return { id: runId(), job, trigger: 'schedule', by: null, startedAt: at(), ...change }
    }

    async function begin(job: MirrorJobName): Promise<MirrorRunId> {
      const run = newRun(job)
      await metadata.beginMirrorRun(run)
      return run.id
    }

    describe('jobs', () => {
      it('are put, put anew, listed by name and deleted', async () => {
        const prefix = `j${randomUUID()}`
        const [a, b] = [jobName(`${prefix}-a`), jobName(`${prefix}-b`)]
        await metadata.putMirrorJob({ name: b, definition: '{"b":1}', updatedAt: at() })
        await metadata.putMirrorJob({ name: a, definition: '{"a":1}', updatedAt: at() })
        await metadata.putMirrorJob({ name: b, definition: '{"b":2}', updatedAt: at(5) })
        const page = { limit: 1, after: prefix }
        assert.deepEqual(await opened.replica.listMirrorJobs(page), [
          { name: a, definition: '{"a":1}', updatedAt: at() },
        ])
        assert.deepEqual(await metadata.listMirrorJobs({ ...page, after: a }), [
          { name: b, definition: '{"b":2}', updatedAt: at(5) },
        ])
        await metadata.deleteMirrorJob(a)
        const error = await rejectsWith('not_found', metadata.deleteMirrorJob(a))
        assert.equal(error.details.name, a)
      })

      it('go with their wishes, runs, results and what is known of their tags, and with no others', async () => {
        const [gone, kept] = [freshJob(), freshJob()]
        const target = 'acme/web'
        for (const job of [gone, kept]) {
          await metadata.putMirrorJob({ name: job, definition: '{}', updatedAt: at() })
          const id = await begin(job)
          await metadata.addMirrorResults(id, [resultOf('a')])
          await metadata.noteMirroredTag(job, target, parseTag('v1'), {
            digest: digestOf(Buffer.from('x')),
            referrersAt: at(),
          })
          await metadata.wishMirrorRun(job, wishOf())
        }
        const [run] = await metadata.listMirrorRuns({ job: gone, limit: 9 })
        await metadata.deleteMirrorJob(gone)
        assert.deepEqual(await metadata.listMirrorRuns({ job: gone, limit: 9 }), [])
        assert.deepEqual(await metadata.listMirrorResults(run?.id ?? runId(), { limit: 9 }), [])
        assert.equal(await metadata.findMirroredTag(gone, target, parseTag('v1')), undefined)
        const wishes = (await metadata.listMirrorWishes()).map(({ job }) => job)
        assert.deepEqual([wishes.includes(gone), wishes.includes(kept)], [false, true])
        assert.equal((await metadata.listMirrorRuns({ job: kept, limit: 9 })).length, 1)
        assert.ok(await metadata.findMirroredTag(kept, target, parseTag('v1')))
      })

      it('that are put at the same time are put', async () => {
        const job = freshJob()
        await race(8, (racing, index) =>
          racing.putMirrorJob({ name: job, definition: `${index}`, updatedAt: at() }),
        )
        await metadata.deleteMirrorJob(job)
      })

      it('with a NUL character are refused', async () => {
        await rejectsWith(
          'invalid',
          metadata.putMirrorJob({ name: freshJob(), definition: '"\0"', updatedAt: at() }),
        )
      })
    })

    describe('wishes', () => {
      it('are one until a run begins, and the first one is told', async () => {
        const job = freshJob()
        const first = wishOf({ trigger: 'webhook', by: 'ann' })
        await metadata.wishMirrorRun(job, first)
        await metadata.wishMirrorRun(job, wishOf({ trigger: 'api' }))
        const mine = async () => (await opened.replica.listMirrorWishes()).filter(each => each.job === job)
        assert.deepEqual(await mine(), [{ job, wish: first }])
        await begin(job)
        assert.deepEqual(await mine(), [])
        await metadata.wishMirrorRun(job, wishOf({ trigger: 'command' }))
        assert.deepEqual(
          (await mine()).map(({ wish }) => wish.trigger),
          ['command'],
        )
      })

      it('of many at once are one', async () => {
        const job = freshJob()
        await race(12, racing => racing.wishMirrorRun(job, wishOf()))
        assert.equal((await metadata.listMirrorWishes()).filter(each => each.job === job).length, 1)
      })

      it('are told in the order in which they came', async () => {
        const [late, early] = [freshJob(), freshJob()]
        await metadata.wishMirrorRun(late, wishOf({ at: at(10) }))
        await metadata.wishMirrorRun(early, wishOf({ at: at(5) }))
        const jobs = (await metadata.listMirrorWishes()).map(({ job }) => job)
        assert.ok(jobs.indexOf(early) < jobs.indexOf(late))
      })
    })

    describe('leases', () => {
      const lease = (holder: string, ms = 1000) => ({ holder, until: at(ms) })

      it('are had by one, who may extend and release them', async () => {
        const job = freshJob()
        assert.equal(await metadata.leaseMirrorJob(job, lease('a')), true)
        assert.equal(await opened.replica.leaseMirrorJob(job, lease('b')), false)
        assert.equal(await metadata.leaseMirrorJob(job, lease('a', 2000)), true)
        await metadata.releaseMirrorJob(job, 'b')
        assert.equal(await opened.replica.leaseMirrorJob(job, lease('b')), false)
        await metadata.releaseMirrorJob(job, 'a')
        assert.equal(await opened.replica.leaseMirrorJob(job, lease('b')), true)
      })

      it('are seen by all while they are had', async () => {
        const job = freshJob()
        assert.equal(await metadata.isMirrorJobLeased(job), false)
        await metadata.leaseMirrorJob(job, lease('a', 1000))
        assert.equal(await opened.replica.isMirrorJobLeased(job), true)
        clock.time += 1000
        assert.equal(await opened.replica.isMirrorJobLeased(job), false)
        await metadata.leaseMirrorJob(job, lease('a', 1000))
        await metadata.releaseMirrorJob(job, 'a')
        assert.equal(await opened.replica.isMirrorJobLeased(job), false)
      })

      it('run out, and are then another’s', async () => {
        const job = freshJob()
        await metadata.leaseMirrorJob(job, lease('a', 1000))
        clock.time += 999
        assert.equal(await metadata.leaseMirrorJob(job, lease('b')), false)
        clock.time += 1
        assert.equal(await metadata.leaseMirrorJob(job, lease('b')), true)
        assert.equal(await metadata.leaseMirrorJob(job, lease('a')), false)
        await metadata.releaseMirrorJob(job, 'a')
        assert.equal(await metadata.leaseMirrorJob(job, lease('a')), false)
      })

      it('are taken by one of many, free or run out', async () => {
        for (const past of [false, true]) {
          const job = freshJob()
          if (past) await metadata.leaseMirrorJob(job, { holder: 'dead', until: at() })
          const won = await race(12, (racing, index) => racing.leaseMirrorJob(job, lease(`racer ${index}`)))
          assert.equal(won.filter(Boolean).length, 1)
        }
      })

      it('of one job say nothing of another', async () => {
        assert.equal(await metadata.leaseMirrorJob(freshJob(), lease('a')), true)
        assert.equal(await metadata.leaseMirrorJob(freshJob(), lease('b')), true)
      })
    })

    describe('runs', () => {
      it('are told as they were begun and saved, newest first', async () => {
        const job = freshJob()
        const first = newRun(job, { trigger: 'api', by: 'ann' })
        await metadata.beginMirrorRun(first)
        assert.deepEqual(await metadata.listMirrorRuns({ job, limit: 9 }), [{ ...first, totals: nothing }])
        const totals = { ...nothing, copied: 2, bytesReceived: 2 ** 40 }
        await metadata.saveMirrorRun(first.id, { totals, resumeAt: at(9), reason: 'The source asks for it.' })
        assert.deepEqual(await opened.replica.listMirrorRuns({ job, limit: 9 }), [
          { ...first, totals, resumeAt: at(9), reason: 'The source asks for it.' },
        ])
        await metadata.saveMirrorRun(first.id, { totals, outcome: 'partial', reason: 'x', endedAt: at(1) })
        const second = await begin(job)
        const [newer, older] = await metadata.listMirrorRuns({ job, limit: 9 })
        assert.equal(newer?.id, second)
        assert.deepEqual(older, { ...first, totals, outcome: 'partial', reason: 'x', endedAt: at(1) })
      })

      it('are told in pages, of one job or of all', async () => {
        const [job, other] = [freshJob(), freshJob()]
        const ids: MirrorRunId[] = []
        for (const each of [job, other, job, job]) ids.push(await begin(each))
        const [first, others, second, third] = ids
        const of = async (filter: Parameters<Metadata['listMirrorRuns']>[0]) =>
          (await metadata.listMirrorRuns(filter)).map(({ id }) => id)
        assert.deepEqual(await of({ job, limit: 2 }), [third, second])
        assert.deepEqual(await of({ job, limit: 2, before: second }), [first])
        assert.deepEqual(await of({ limit: 3 }), [third, second, others])
        assert.deepEqual(await of({ job, limit: 2, before: runId() }), [])
      })

      it('that never ended end as interrupted when the next one begins', async () => {
        const [job, other] = [freshJob(), freshJob()]
        const dead = await begin(job)
        const alive = await begin(other)
        clock.time += 10
        const next = await begin(job)
        const runs = new Map((await metadata.listMirrorRuns({ limit: 9 })).map(run => [run.id, run]))
        assert.equal(runs.get(dead)?.outcome, 'interrupted')
        assert.deepEqual(runs.get(dead)?.endedAt, at())
        assert.equal(runs.get(next)?.outcome, undefined)
        assert.equal(runs.get(alive)?.outcome, undefined)
      })

      it('that have ended stay as they ended', async () => {
        const job = freshJob()
        const dead = await begin(job)
        await begin(job)
        await rejectsWith('conflict', metadata.saveMirrorRun(dead, { totals: nothing }))
        await rejectsWith('conflict', metadata.saveMirrorRun(dead, { totals: nothing, outcome: 'ok' }))
        await metadata.saveMirrorRun(dead, { totals: nothing, outcome: 'interrupted' })
        await rejectsWith('not_found', metadata.saveMirrorRun(runId(), { totals: nothing }))
      })

      it('of one job that begin at the same time leave one that has not ended', async () => {
        const job = freshJob()
        await race(8, racing => racing.beginMirrorRun(newRun(job)))
        const runs = await metadata.listMirrorRuns({ job, limit: 9 })
        assert.deepEqual(
          runs.map(({ outcome }) => outcome),
          [undefined, ...Array<string>(7).fill('interrupted')],
        )
        assert.deepEqual(
          (await metadata.listMirrorWishes()).filter(each => each.job === job),
          [],
        )
      })

      it('are deleted when they are old, but for the newest of each job and what goes on', async () => {
        const [job, other, running] = [freshJob(), freshJob(), freshJob()]
        const ended: MirrorRunId[] = []
        for (const each of [job, job, job, other]) {
          const id = await begin(each)
          await metadata.addMirrorResults(id, [resultOf('a')])
          await metadata.saveMirrorRun(id, { totals: nothing, outcome: 'ok', endedAt: at() })
          ended.push(id)
        }
        await begin(running)
        const later = at(1)
        // Runs of other tests may be among them.
        while ((await metadata.deleteMirrorRuns(later, 2)) > 0);
        const left = async (each: MirrorJobName) =>
          (await metadata.listMirrorRuns({ job: each, limit: 9 })).map(({ id }) => id)
        assert.deepEqual(await left(job), [ended[2]])
        assert.deepEqual(await left(other), [ended[3]])
        assert.equal((await left(running)).length, 1)
        assert.deepEqual(await metadata.listMirrorResults(ended[0] ?? runId(), { limit: 9 }), [])
        assert.equal((await metadata.listMirrorResults(ended[2] ?? runId(), { limit: 9 })).length, 1)
      })

      it('are deleted at most so many at once, those that ended first first, and not before their time', async () => {
        clock.time += 60_000
        const start = clock.time
        const job = freshJob()
        const ids: MirrorRunId[] = []
        for (let index = 0; index < 4; index++) {
          const id = await begin(job)
          await metadata.saveMirrorRun(id, { totals: nothing, outcome: 'ok', endedAt: at(index) })
          ids.push(id)
        }
        while ((await metadata.deleteMirrorRuns(new Date(start), 9)) > 0);
        assert.equal((await metadata.listMirrorRuns({ job, limit: 9 })).length, 4)
        assert.equal(await metadata.deleteMirrorRuns(new Date(start + 9), 1), 1)
        assert.deepEqual(
          (await metadata.listMirrorRuns({ job, limit: 9 })).map(({ id }) => id),
          ids.slice(1).toReversed(),
        )
      })
    })

    describe('runs tell, in the transaction that changes them,', () => {
      async function told(change: () => Promise<unknown>): Promise<Omit<RunEvent, 'position' | 'id'>[]> {
        const { newest } = await metadata.eventBounds()
        await change()
        const events = await opened.replica.listEvents({ after: newest, limit: 99 })
        return events
          .filter(event => !isContentEvent(event))
          .map(({ position: _position, id: _id, ...facts }) => facts)
      }

      it('that they begin, and how they end, once', async () => {
        const job = freshJob()
        const run = newRun(job, { trigger: 'api', by: 'ann' })
        const totals = { ...nothing, copied: 2, bytesReceived: 2 ** 40, pullsLeft: 3 }
        const end = { totals, outcome: 'partial', reason: 'one\0failed', endedAt: at(5) } as const
        const events = await told(async () => {
          await metadata.beginMirrorRun(run)
          await metadata.saveMirrorRun(run.id, { totals, resumeAt: at(9), reason: 'It waits.' })
          await metadata.saveMirrorRun(run.id, end)
          await opened.replica.saveMirrorRun(run.id, end)
          await rejectsWith('conflict', metadata.saveMirrorRun(run.id, { totals, outcome: 'ok' }))
          await rejectsWith('not_found', metadata.saveMirrorRun(runId(), { totals, outcome: 'ok' }))
        })
        const facts = { kind: 'mirror', job, run: run.id, trigger: 'api', wishedBy: 'ann' }
        assert.deepEqual(events, [
          { ...facts, action: 'start', at: at() },
          {
            ...facts,
            action: 'end',
            at: at(5),
            startedAt: at(),
            outcome: 'partial',
            reason: 'one\u{fffd}failed',
            totals,
          },
        ])
      })

      it('when the job was last a success', async () => {
        const job = freshJob()
        const lastOf = async (outcome: 'ok' | 'failed', endedAt: Date) => {
          const id = await begin(job)
          const [end] = await told(() => metadata.saveMirrorRun(id, { totals: nothing, outcome, endedAt }))
          return end !== undefined && 'lastSuccessAt' in end ? end.lastSuccessAt : undefined
        }
        assert.equal(await lastOf('failed', at(1)), undefined)
        assert.deepEqual(await lastOf('ok', at(2)), at(2))
        assert.deepEqual(await lastOf('failed', at(3)), at(2))
      })

      it('that they were interrupted, before the next one begins', async () => {
        const job = freshJob()
        const dead = await begin(job)
        const next = newRun(job)
        const events = await told(() => metadata.beginMirrorRun(next))
        assert.deepEqual(
          events.map(event => [
            event.action,
            'run' in event && event.run,
            'outcome' in event && event.outcome,
          ]),
          [
            ['end', dead, 'interrupted'],
            ['start', next.id, false],
          ],
        )
      })

      it('that they end with their job, and nothing of those that have ended', async () => {
        const job = freshJob()
        await metadata.putMirrorJob({ name: job, definition: '{}', updatedAt: at() })
        await begin(job)
        const going = await begin(job)
        const events = await told(() => metadata.deleteMirrorJob(job))
        assert.deepEqual(
          events.map(event => [
            event.action,
            'run' in event && event.run,
            'outcome' in event && event.outcome,
          ]),
          [['end', going, 'stopped']],
        )
      })
    })

    describe('results', () => {
      it('are told as they were added, in their order, in pages and by outcome', async () => {
        const id = await begin(freshJob())
        const results = ['a', 'b', 'c', 'd'].map((tag, index) =>
          resultOf(
            tag,
            index % 2 === 0 ? {} : { outcome: 'failed', digest: null, reason: 'It is not there.' },
          ),
        )
        await metadata.addMirrorResults(id, results.slice(0, 3))
        await metadata.addMirrorResults(id, [])
        await metadata.addMirrorResults(id, results.slice(3))
        const all = await opened.replica.listMirrorResults(id, { limit: 9 })
        assert.deepEqual(
          all,
          results.map((result, index) => ({ ...result, serial: all[index]?.serial ?? 0 })),
        )
        const [first, second] = all
        const page = await metadata.listMirrorResults(id, { limit: 2, after: first?.serial })
        assert.deepEqual(
          page.map(({ tag }) => tag),
          ['b', 'c'],
        )
        const failed = await metadata.listMirrorResults(id, { limit: 9, outcomes: ['failed', 'skipped'] })
        assert.deepEqual(
          failed.map(({ tag }) => tag),
          ['b', 'd'],
        )
        assert.deepEqual(await metadata.listMirrorResults(id, { limit: 9, outcomes: [] }), [])
        assert.deepEqual(await metadata.listMirrorResults(runId(), { limit: 9 }), [])
        assert.ok(first !== undefined && second !== undefined && first.serial < second.serial)
      })

      it('may be more than one statement takes', async () => {
        const id = await begin(freshJob())
        const tags = Array.from({ length: 1203 }, (_, index) => `t${index}`)
        await metadata.addMirrorResults(
          id,
          tags.map(tag => resultOf(tag)),
        )
        const listed = await metadata.listMirrorResults(id, { limit: 2000 })
        assert.deepEqual(
          listed.map(({ tag }) => tag),
          tags,
        )
      })

      it('may have another registry’s words, whatever they are', async () => {
        const id = await begin(freshJob())
        const reason = `no \0 ${'x'.repeat(100_000)}`
        await metadata.addMirrorResults(id, [
          resultOf('a', { outcome: 'failed', reason }),
          { ...resultOf('a'), tag: null },
        ])
        const [first, second] = await metadata.listMirrorResults(id, { limit: 9 })
        assert.match(first?.reason ?? '', /^no \u{fffd} x+$/u)
        assert.ok((first?.reason?.length ?? 0) <= 2000)
        assert.equal(second?.tag, null)
        await metadata.saveMirrorRun(id, { totals: nothing, outcome: 'failed', reason })
      })

      it('of a run that is not there are refused', async () => {
        await rejectsWith('not_found', metadata.addMirrorResults(runId(), [resultOf('a')]))
      })
    })

    it('remembers of a tag what was said last, for each job and target', async () => {
      const [job, other] = [freshJob(), freshJob()]
      const tag = parseTag('v1')
      const of = (text: string) => ({ digest: digestOf(Buffer.from(text)), referrersAt: at() })
      assert.equal(await metadata.findMirroredTag(job, 'a', tag), undefined)
      await metadata.noteMirroredTag(job, 'a', tag, of('one'))
      await metadata.noteMirroredTag(job, 'a', tag, of('two'))
      await metadata.noteMirroredTag(job, 'b', tag, of('b'))
      await metadata.noteMirroredTag(other, 'a', tag, of('other'))
      assert.deepEqual(await opened.replica.findMirroredTag(job, 'a', tag), of('two'))
      assert.deepEqual(await metadata.findMirroredTag(job, 'b', tag), of('b'))
      assert.deepEqual(await metadata.findMirroredTag(other, 'a', tag), of('other'))
      assert.equal(await metadata.findMirroredTag(job, 'a', parseTag('v2')), undefined)
      const single = { ...of('index'), stored: digestOf(Buffer.from('child')) }
      await metadata.noteMirroredTag(job, 'a', tag, single)
      assert.deepEqual(await opened.replica.findMirroredTag(job, 'a', tag), single)
      await metadata.noteMirroredTag(job, 'a', tag, of('image'))
      assert.deepEqual(await metadata.findMirroredTag(job, 'a', tag), of('image'))
    })

    it('does nothing for a caller that has gone', async () => {
      const reason = new Error('not wanted any more')
      const options = { signal: AbortSignal.abort(reason) }
      const job = freshJob()
      const attempts: Record<string, () => Promise<unknown>> = {
        putMirrorJob: () => metadata.putMirrorJob({ name: job, definition: '{}', updatedAt: at() }, options),
        listMirrorJobs: () => metadata.listMirrorJobs({ limit: 1 }, options),
        deleteMirrorJob: () => metadata.deleteMirrorJob(job, options),
        wishMirrorRun: () => metadata.wishMirrorRun(job, wishOf(), options),
        listMirrorWishes: () => metadata.listMirrorWishes(options),
        leaseMirrorJob: () => metadata.leaseMirrorJob(job, { holder: 'a', until: at(9) }, options),
        releaseMirrorJob: () => metadata.releaseMirrorJob(job, 'a', options),
        isMirrorJobLeased: () => metadata.isMirrorJobLeased(job, options),
        beginMirrorRun: () => metadata.beginMirrorRun(newRun(job), options),
        saveMirrorRun: () => metadata.saveMirrorRun(runId(), { totals: nothing }, options),
        listMirrorRuns: () => metadata.listMirrorRuns({ limit: 1 }, options),
        addMirrorResults: () => metadata.addMirrorResults(runId(), [], options),
        listMirrorResults: () => metadata.listMirrorResults(runId(), { limit: 1, outcomes: [] }, options),
        deleteMirrorRuns: () => metadata.deleteMirrorRuns(at(), 1, options),
        findMirroredTag: () => metadata.findMirroredTag(job, 'a', parseTag('v1'), options),
        noteMirroredTag: () =>
          metadata.noteMirroredTag(
            job,
            'a',
            parseTag('v1'),
            { digest: digestOf(Buffer.from('x')), referrersAt: at() },
            options,
          ),
      }
      for (const [method, attempt] of Object.entries(attempts))
        await assert.rejects(attempt, (error: unknown) => error === reason, method)
      assert.deepEqual(await metadata.listMirrorRuns({ job, limit: 1 }), [])
    })

    function wishOf(change: Partial<MirrorWish> = {}): MirrorWish {
      return { trigger: 'api', by: null, at: at(), ...change }
    }

    function resultOf(tag: string, change: Partial<MirrorResult> = {}): MirrorResult {
      return {
        source: 'quay.io/acme/web',
        target: 'acme/web',
        tag,
        outcome: 'copied',
        digest: digestOf(Buffer.from(tag)),
        reason: null,
        bytes: 2 ** 41,
        at: at(),
        ...change,
      }
    }
  })
}

function jobName(text: string): MirrorJobName {
  return text as MirrorJobName
}

/** That no other test uses. */
function freshJob(): MirrorJobName {
  return jobName(`j${randomUUID()}`)
}

function runId(): MirrorRunId {
  return randomUUID() as string as MirrorRunId
}
