import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError } from '../../../src/errors.ts'
import type { ImportJob } from '../../../src/importer/jobs/import-job.ts'
import { ImportJobs } from '../../../src/importer/jobs/import-jobs.ts'
import type { ImportRecord, JobState } from '../../../src/importer/jobs/job-records.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { progressEvent, ScriptedImports } from '../../support/scripted-imports.ts'

type Step =
  | { readonly do: 'ensure'; readonly image: number; readonly priority: number; readonly attached: boolean }
  | { readonly do: 'follow'; readonly which: number; readonly eager: boolean }
  | { readonly do: 'leave' | 'tell' | 'finish' | 'fail' | 'cancel'; readonly which: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ensure' as const),
      image: fc.nat(4),
      priority: fc.integer({ min: -1, max: 2 }),
      attached: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('follow' as const), which: fc.nat(), eager: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('leave', 'tell', 'finish', 'fail', 'cancel'),
      which: fc.nat(),
    }),
  },
)

interface ModelJob {
  readonly job: ImportJob
  readonly image: number
  priority: number
  attached: boolean
  expected: number
  state: JobState
  readonly followers: Set<ModelFollower>
}

interface ModelFollower {
  readonly of: ModelJob
  readonly records: AsyncIterator<ImportRecord>
  /** What it has read; all of it at once at the end when it is not eager. */
  readonly read: Promise<ImportRecord[]> | undefined
  left: boolean
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** What {@link ImportJobs} promises, in the plainest way. */
class Model {
  readonly imports = new ScriptedImports()
  readonly jobs: ImportJobs
  readonly all: ModelJob[] = []
  readonly followers: ModelFollower[] = []
  readonly #atOnce: number

  constructor(atOnce: number) {
    this.#atOnce = atOnce
    this.jobs = new ImportJobs(this.imports, { atOnce, remembered: 1000 })
  }

  run(one: Step): void {
    switch (one.do) {
      case 'ensure':
        this.#ensure(one)
        break
      case 'follow':
        withOne(this.all, one.which, job => this.#follow(job, one.eager))
        break
      case 'leave': {
        const there = this.followers.filter(({ left }) => !left)
        withOne(there, one.which, follower => this.#leave(follower))
        break
      }
      case 'tell': {
        const event = progressEvent(one.which % 3)
        withOne(this.#running(), one.which, job => this.#importOf(job).tell(event))
        break
      }
      case 'finish':
        withOne(this.#running(), one.which, job => this.#finish(job))
        break
      case 'fail':
        withOne(this.#running(), one.which, job => this.#fail(job))
        break
      case 'cancel':
        withOne(this.all, one.which, job => this.#cancel(job))
        break
      default:
        one satisfies never
    }
  }

  startNext(): void {
    while (this.#running().length < this.#atOnce) {
      const queued = this.all.filter(({ state }) => state === 'queued')
      const highest = Math.max(...queued.map(({ priority }) => priority))
      const next = queued.find(({ priority }) => priority === highest)
      if (next === undefined) return
      next.state = 'running'
    }
  }

  check(): void {
    assert.deepEqual(
      this.all.map(({ job }) => job.summary().state),
      this.all.map(({ state }) => state),
    )
    assert.deepEqual(
      this.all.filter(isLive).map(({ job }) => job.summary().priority),
      this.all.filter(isLive).map(({ priority }) => priority),
    )
    assert.ok(this.imports.mostRunning <= this.#atOnce)
    assert.equal(this.jobs.list().length, this.all.length)
  }

  async finishAll(): Promise<void> {
    while (this.all.some(isLive)) {
      for (const job of this.#running()) this.#finish(job)
      this.startNext()
      await turn()
      this.check()
    }
  }

  async checkFollowers(): Promise<void> {
    for (const { of, records, read, left } of this.followers) {
      const told = (await read) ?? (left ? [] : await rest(records))
      const finals = told.filter(({ type }) => type === 'done' || type === 'error')
      assert.ok(finals.length <= 1)
      if (finals.length === 1) assert.equal(told.at(-1), finals[0])
      if (!left) assert.deepEqual([finals[0]?.type], [of.state === 'done' ? 'done' : 'error'])
    }
  }

  #ensure({ image, priority, attached }: Extract<Step, { do: 'ensure' }>): void {
    const job = this.jobs.ensure(
      { image: `localhost:5000/i${image}`, platform: defaultPlatform },
      { priority, attached },
    )
    const same = this.all.find(one => one.image === image && isLive(one))
    const model = same ?? {
      job,
      image,
      priority,
      attached,
      expected: 0,
      state: 'queued',
      followers: new Set<ModelFollower>(),
    }
    assert.equal(model.job, job)
    if (same === undefined) this.all.push(model)
    model.priority = Math.max(model.priority, priority)
    if (attached) model.expected += 1
    else model.attached = false
  }

  #follow(of: ModelJob, eager: boolean): void {
    const records = of.job.follow()
    const follower = { of, records, read: eager ? rest(records) : undefined, left: false }
    this.followers.push(follower)
    of.followers.add(follower)
    of.expected = Math.max(0, of.expected - 1)
  }

  #leave(follower: ModelFollower): void {
    const { of } = follower
    void follower.records.return?.()
    follower.left = true
    of.followers.delete(follower)
    if (isLive(of) && of.attached && of.followers.size === 0 && of.expected === 0) of.state = 'cancelled'
  }

  #finish(job: ModelJob): void {
    this.#importOf(job).finish()
    job.state = 'done'
  }

  #fail(job: ModelJob): void {
    this.#importOf(job).fail(new DomainError('invalid', 'No.', { resource: 'layer' }))
    job.state = 'failed'
  }

  #cancel(job: ModelJob): void {
    this.jobs.cancel(job.job.id)
    if (isLive(job)) job.state = 'cancelled'
  }

  #running(): ModelJob[] {
    return this.all.filter(({ state }) => state === 'running')
  }

  #importOf({ image }: ModelJob) {
    const name = `localhost:5000/i${image}:latest`
    return this.imports.begun.findLast(({ request }) => request.image === name) ?? assert.fail('not begun')
  }
}

function isLive({ state }: ModelJob): boolean {
  return state === 'queued' || state === 'running'
}

function withOne<Item>(items: readonly Item[], which: number, use: (item: Item) => void): void {
  const item = items[which % Math.max(1, items.length)]
  if (item !== undefined) use(item)
}

async function rest(records: AsyncIterator<ImportRecord>): Promise<ImportRecord[]> {
  return await Array.fromAsync({ [Symbol.asyncIterator]: () => records })
}

describe('ImportJobs, whatever is asked for in whatever order', { timeout: 120_000 }, () => {
  it('loses no job, runs the most urgent, never too many, and tells each follower one end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
        async (atOnce, steps) => {
          const model = new Model(atOnce)
          for (const one of steps) {
            model.run(one)
            model.startNext()
            await turn()
            model.check()
          }
          await model.finishAll()
          await model.checkFollowers()
          await model.jobs[Symbol.asyncDispose]()
          assert.equal(model.imports.running, 0)
        },
      ),
      { numRuns: 300 },
    )
  })
})
