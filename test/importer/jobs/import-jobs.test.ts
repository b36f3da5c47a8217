import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import type { ImportJob } from '../../../src/importer/jobs/import-job.ts'
import { ImportJobs, type ImportJobsOptions } from '../../../src/importer/jobs/import-jobs.ts'
import type { ImportRecord } from '../../../src/importer/jobs/job-records.ts'
import { defaultPlatform, parsePlatform } from '../../../src/storage/platform.ts'
import {
  doneEvent,
  progressEvent,
  resolvedEvent,
  resultOf,
  type ScriptedImport,
  ScriptedImports,
} from '../../support/scripted-imports.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const request = (image: string) => ({ image: `localhost:5000/${image}`, platform: defaultPlatform })

function open(options: Partial<ImportJobsOptions> = {}): { imports: ScriptedImports; jobs: ImportJobs } {
  const imports = new ScriptedImports()
  return { imports, jobs: new ImportJobs(imports, { atOnce: 1, remembered: 100, ...options }) }
}

function nth(imports: ScriptedImports, index: number): ScriptedImport {
  return imports.begun[index] ?? assert.fail(`import ${index} has not begun`)
}

function statesOf(...jobs: readonly ImportJob[]): string[] {
  return jobs.map(job => job.summary().state)
}

async function allOf(records: AsyncIterable<ImportRecord>): Promise<ImportRecord[]> {
  return await Array.fromAsync(records)
}

describe('ImportJobs', { timeout: 60_000 }, () => {
  it('joins what asks for the same image, platform and credentials, as long as it has not ended', async () => {
    const { imports, jobs } = open({ atOnce: 10 })
    const first = jobs.ensure(request('a'))
    assert.equal(jobs.ensure(request('a:latest')), first)
    assert.notEqual(jobs.ensure({ ...request('a'), platform: parsePlatform('linux/arm64') }), first)
    assert.notEqual(jobs.ensure({ ...request('a'), credentials: 'ours' }), first)
    assert.notEqual(jobs.ensure(request('b')), first)
    assert.equal(imports.begun.length, 4)
    nth(imports, 0).finish()
    await first.ended()
    assert.notEqual(jobs.ensure(request('a')), first)
    await jobs[Symbol.asyncDispose]()
  })

  it('jobs-memory: forgets the layers of those that ended long ago, not how they ended', async () => {
    const { imports, jobs } = open()
    const asked: ImportJob[] = []
    for (let index = 0; index < 12; index += 1) {
      const job = jobs.ensure(request(`a${index}`))
      asked.push(job)
      nth(imports, index).tell(resolvedEvent(1000))
      nth(imports, index).finish()
      await job.ended()
    }
    const [oldest] = asked
    assert.deepEqual(
      asked.map(job => job.summary().layers.length),
      [0, 0, ...Array.from({ length: 10 }, () => 1000)],
    )
    assert.equal(oldest?.summary().state, 'done')
    assert.equal(oldest?.summary().manifestDigest, resolvedEvent(1).manifestDigest)
    assert.deepEqual(
      (await allOf(oldest?.follow() ?? assert.fail())).map(({ type }) => type),
      ['done'],
    )
    const huge = jobs.ensure(request('huge'))
    nth(imports, 12).tell(resolvedEvent(11_000))
    nth(imports, 12).fail(new DomainError('unavailable', 'No.', { resource: 'image', name: 'huge' }))
    await huge.ended()
    assert.deepEqual(
      jobs.list().map(job => job.summary().layers.length),
      [...asked.map(() => 0), 11_000],
    )
    await jobs[Symbol.asyncDispose]()
  })

  it('starts the most urgent first, then the oldest, and so many at once', async () => {
    const { imports, jobs } = open({ atOnce: 2 })
    const plain = ['a', 'b', 'c', 'd'].map(image => jobs.ensure(request(image)))
    jobs.ensure(request('urgent'), { priority: 5 })
    jobs.ensure(request('d'), { priority: 1 })
    jobs.ensure(request('d'), { priority: -1 })
    assert.deepEqual(statesOf(...plain), ['running', 'running', 'queued', 'queued'])
    for (let index = 0; index < 5; index += 1) {
      nth(imports, index).finish()
      await turn()
    }
    assert.deepEqual(
      imports.begun.map(({ request: { image } }) => image.split('/')[1]),
      ['a:latest', 'b:latest', 'urgent:latest', 'd:latest', 'c:latest'],
    )
    assert.equal(imports.mostRunning, 2)
  })

  it('says at once that a name is none', () => {
    const { jobs } = open()
    assert.throws(() => jobs.ensure({ image: 'UPPER/:', platform: defaultPlatform }), { code: 'invalid' })
    assert.deepEqual(jobs.list(), [])
  })

  it('tells a follower what happened before, where each layer is, and then what happens', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'))
    const { tell, finish } = nth(imports, 0)
    tell(resolvedEvent(3))
    for (let bytes = 0; bytes < 50; bytes += 1) tell(progressEvent(0, { blobBytes: bytes }))
    tell(progressEvent(1, { phase: 'download' }))
    tell(doneEvent(0))
    const late = job.follow()
    const told = [await late.next(), await late.next(), await late.next()].map(({ value }) => value)
    assert.deepEqual(told, [resolvedEvent(3), progressEvent(1, { phase: 'download' }), doneEvent(0)])
    const rest = allOf(late)
    await turn()
    tell(progressEvent(1))
    finish()
    assert.deepEqual(await rest, [progressEvent(1), { type: 'done', ...resultOf(request('a:latest')) }])
    assert.deepEqual((await allOf(job.follow())).length, 4, 'after the end as well')
  })

  it('keeps for a slow follower what still says something, and no more', async () => {
    const { imports, jobs } = open()
    const slow = jobs.ensure(request('a')).follow()
    const { tell, finish } = nth(imports, 0)
    tell(resolvedEvent(2))
    tell({ type: 'waiting', chainId: resolvedEvent(2).layers[0]?.chainId ?? assert.fail() })
    for (let step = 0; step < 10_000; step += 1) tell(progressEvent(step % 2, { entries: step }))
    tell(doneEvent(0))
    finish()
    await turn()
    assert.deepEqual(
      (await allOf(slow)).map(record => ('layer' in record ? [record.type, record.layer] : [record.type])),
      [['resolved'], ['layer-progress', 1], ['layer-done', 0], ['done']],
    )
  })

  it('forgets what was told of layers when the image is resolved anew', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'))
    const follower = job.follow()
    const { tell, finish } = nth(imports, 0)
    tell(resolvedEvent(2))
    tell(doneEvent(0))
    tell(resolvedEvent(2, 1))
    assert.deepEqual(
      job.summary().layers.map(({ phase }) => phase),
      ['present', 'queued'],
    )
    finish()
    assert.deepEqual(
      (await allOf(follower)).map(({ type }) => type),
      ['resolved', 'done'],
    )
  })

  it('shows where each layer is', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'))
    assert.deepEqual(job.summary().layers, [])
    const { tell, finish } = nth(imports, 0)
    const resolved = resolvedEvent(5, 1)
    tell(resolved)
    tell(doneEvent(1))
    tell(progressEvent(2, { blobBytes: 400 }))
    tell(progressEvent(3, { phase: 'download', blobBytes: 30, entries: 0, bytes: 0 }))
    const shown = (): unknown[] =>
      job
        .summary()
        .layers.map(({ phase, blobBytes, entries, bytes, bytesPerSecond }) => [
          phase,
          blobBytes,
          entries,
          bytes,
          bytesPerSecond,
        ])
    assert.deepEqual(shown(), [
      ['present', 0, 0, 0, 0],
      ['done', 1000, 7, 70, 0],
      ['apply', 400, 1, 20, 5],
      ['download', 30, 0, 0, 5],
      ['queued', 0, 0, 0, 0],
    ])
    assert.equal(job.summary().manifestDigest, resolved.manifestDigest)
    tell({ type: 'waiting', chainId: resolved.layers[4]?.chainId ?? assert.fail() })
    assert.equal(job.summary().layers[4]?.phase, 'waiting')
    finish()
    await job.ended()
    assert.deepEqual(
      job.summary().layers.map(({ phase }) => phase),
      ['present', 'done', 'present', 'present', 'present'],
    )
    assert.deepEqual(job.summary().result, resultOf(request('a:latest')))
    assert.ok(job.summary().endedAt !== undefined)
  })

  it('ends an attached job with its last follower, however that one leaves', async () => {
    const { imports, jobs } = open({ atOnce: 10 })
    const controller = new AbortController()
    const job = jobs.ensure(request('a'), { attached: true })
    assert.equal(jobs.ensure(request('a'), { attached: true }), job)
    const [first, second] = [job.follow(), job.follow(controller)]
    await first.return?.()
    assert.deepEqual(statesOf(job), ['running'])
    const reading = second.next()
    controller.abort()
    await assert.rejects(reading, { name: 'AbortError' })
    assert.deepEqual(statesOf(job), ['cancelled'])
    assert.equal(nth(imports, 0).signal?.aborted, true)
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
    const [final] = await allOf(job.follow())
    assert.ok(final?.type === 'error' && final.error.code === 'conflict')
  })

  it('waits for all who asked for an attached job before it counts as abandoned', async () => {
    const { jobs } = open()
    const job = jobs.ensure(request('a'), { attached: true })
    jobs.ensure(request('a'), { attached: true })
    await job.follow().return?.()
    assert.deepEqual(statesOf(job), ['running'])
    await job.follow().return?.()
    assert.deepEqual(statesOf(job), ['cancelled'])
  })

  it('ends an attached job whose only follower had left before it came', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'), { attached: true })
    assert.throws(() => job.follow({ signal: AbortSignal.abort() }), { name: 'AbortError' })
    assert.deepEqual(statesOf(job), ['cancelled'])
    assert.equal(nth(imports, 0).signal?.aborted, true)
  })

  it('tells once how an import has ended to one who was not to wait, and nothing that is old', async context => {
    context.mock.timers.enable({ apis: ['Date'] })
    const { imports, jobs } = open({ atOnce: 3 })
    for (const minutes of [4, 6]) {
      const job = jobs.ensure(request('a'))
      job.waitNoLonger()
      assert.equal(jobs.takeEnd(request('a')), undefined)
      imports.begun.at(-1)?.finish()
      await job.ended()
      context.mock.timers.tick(minutes * 60_000)
      assert.equal(jobs.takeEnd(request('a'))?.type, minutes < 5 ? 'done' : undefined)
      assert.equal(jobs.takeEnd(request('a')), undefined)
    }
  })

  it('shows as present what others have made below the layer whose turn it is', () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'))
    const { tell } = nth(imports, 0)
    const resolved = resolvedEvent(4)
    tell(resolved)
    tell({ type: 'waiting', chainId: resolved.layers[0]?.chainId ?? assert.fail() })
    const phases = () => job.summary().layers.map(({ phase }) => phase)
    assert.deepEqual(phases(), ['waiting', 'queued', 'queued', 'queued'])
    tell(progressEvent(3, { phase: 'download' }))
    tell(progressEvent(2))
    assert.deepEqual(phases(), ['present', 'present', 'apply', 'download'])
    tell({ type: 'waiting', chainId: resolved.layers[3]?.chainId ?? assert.fail() })
    assert.deepEqual(phases(), ['present', 'present', 'present', 'waiting'])
  })

  it('goes on when somebody else has asked who does not follow', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'), { attached: true })
    const follower = job.follow()
    jobs.ensure(request('a'))
    await follower.return?.()
    assert.deepEqual(statesOf(job), ['running'])
    nth(imports, 0).finish()
    assert.equal((await job.ended()).type, 'done')
  })

  it('cancels a queued and a running job, and gives the place on when the import has come to rest', async () => {
    const { imports, jobs } = open()
    imports.lingers = true
    const [running, queued, next] = [
      jobs.ensure(request('a')),
      jobs.ensure(request('b')),
      jobs.ensure(request('c')),
    ]
    assert.equal(jobs.cancel(queued.id), queued)
    assert.equal(jobs.cancel(running.id), running)
    assert.equal(jobs.cancel('nobody'), undefined)
    await turn()
    assert.deepEqual(statesOf(running, queued, next), ['cancelled', 'cancelled', 'queued'])
    assert.notEqual(jobs.ensure(request('a')), running, 'what is cancelled cannot be joined')
    nth(imports, 0).finish()
    await turn()
    assert.deepEqual(statesOf(running, next), ['cancelled', 'running'])
    jobs.cancel(running.id)
    assert.equal(imports.begun.length, 2)
  })

  it('tells what an import has failed with, and keeps to itself what nobody should see', async () => {
    const unexpected: unknown[] = []
    const { imports, jobs } = open({ atOnce: 2, onUnexpected: error => unexpected.push(error) })
    const [denied, broken] = [jobs.ensure(request('a')), jobs.ensure(request('b'))]
    nth(imports, 0).fail(new DomainError('denied', 'Not you.', { resource: 'registry', name: 'x' }))
    const bug = new TypeError('secret')
    nth(imports, 1).fail(bug)
    assert.deepEqual(await denied.ended(), {
      type: 'error',
      error: { code: 'denied', message: 'Not you.', details: { resource: 'registry', name: 'x' } },
    })
    assert.equal(denied.summary().error?.code, 'denied')
    const final = await broken.ended()
    assert.ok(final.type === 'error' && final.error.code === 'internal')
    assert.doesNotMatch(JSON.stringify(broken.summary()), /secret/)
    assert.deepEqual(statesOf(denied, broken), ['failed', 'failed'])
    assert.deepEqual(unexpected, [bug])
  })

  it('remembers the latest ends, and nothing else that is over', async () => {
    const told: string[] = []
    const { imports, jobs } = open({ remembered: 2, onEnded: ({ id }) => told.push(id) })
    const all = ['a', 'b', 'c', 'd'].map(image => jobs.ensure(request(image)))
    for (const index of [0, 1, 2]) {
      nth(imports, index).finish()
      await turn()
    }
    assert.deepEqual(jobs.list(), all.slice(1))
    assert.equal(jobs.find(all[0]?.id ?? ''), undefined)
    assert.equal(jobs.find(all[1]?.id ?? ''), all[1])
    assert.deepEqual(
      told,
      all.slice(0, 3).map(({ id }) => id),
    )
  })

  it('waits for the end with a signal, and leaves no listener behind', async () => {
    const { imports, jobs } = open()
    const job = jobs.ensure(request('a'))
    const controller = new AbortController()
    const waiting = job.ended(controller)
    controller.abort()
    await assert.rejects(waiting, { name: 'AbortError' })
    const patient = new AbortController()
    const ended = job.ended(patient)
    nth(imports, 0).finish()
    assert.equal((await ended).type, 'done')
    assert.deepEqual(getEventListeners(patient.signal, 'abort'), [])
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  })

  it('cancels everything and waits when it is disposed, and takes nothing more', async () => {
    const { imports, jobs } = open()
    imports.lingers = true
    const [running, queued] = [jobs.ensure(request('a')), jobs.ensure(request('b'))]
    const follower = allOf(queued.follow())
    let disposed = false
    const disposing = jobs[Symbol.asyncDispose]().then(() => {
      disposed = true
    })
    await turn()
    assert.equal(disposed, false)
    nth(imports, 0).fail(nth(imports, 0).signal?.reason)
    await disposing
    assert.deepEqual(statesOf(running, queued), ['cancelled', 'cancelled'])
    const [final] = await follower
    assert.ok(final?.type === 'error' && final.error.code === 'unavailable')
    assert.throws(() => jobs.ensure(request('c')), { code: 'unavailable' })
    assert.equal(imports.begun.length, 1)
  })

  it('refuses more than it can hold', () => {
    const { jobs } = open({ atOnce: 0 })
    for (let index = 0; index < 10_000; index += 1) jobs.ensure(request(`a${index}`))
    assert.throws(() => jobs.ensure(request('b')), { code: 'busy' })
    jobs.ensure(request('a1'))
    assert.equal(jobs.queued, 10_000)
  })
})
