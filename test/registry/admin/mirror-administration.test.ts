import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Administration } from '../../../src/registry/admin/administration.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import type { MirrorResult } from '../../../src/storage/metadata/mirror-records.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { startAdminRegistry } from '../../support/admin-registry.ts'
import { openTestAdministration } from '../../support/administration.ts'
import { rejectsWith } from '../../support/rejects.ts'

interface Opened extends AsyncDisposable {
  readonly administration: Administration
  readonly metadata: Metadata
  /** Who is told as the one who wished a run, and how. */
  readonly wisher: readonly [trigger: string, by: string]
}

const openers: Readonly<Record<string, () => Promise<Opened>>> = {
  'on the database': async () => {
    const opened = await openTestAdministration()
    return { ...opened, administration: opened.system, wisher: ['command', 'system:test'] }
  },
  'over HTTP': async () => {
    const opened = await startAdminRegistry()
    return {
      metadata: opened.metadata,
      administration: opened.as('root'),
      wisher: ['api', 'root'],
      [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
    }
  },
}

const definition = { source: { registry: 'quay.io' }, target: {}, repositories: ['acme/debian'] }

for (const [where, open] of Object.entries(openers))
  describe(`Administration of mirror jobs ${where}`, () => {
    let opened: Opened
    before(async () => {
      opened = await open()
    })
    after(() => opened[Symbol.asyncDispose]())
    const call: Administration['call'] = (...args) => opened.administration.call(...args)

    it('keeps, shows, changes, lists and deletes jobs', async () => {
      const made = await call('mirror.put', {
        job: 'one',
        definition: {
          ...definition,
          name: 'one',
          tags: { semver: '>=1.2', newest: 5 },
          schedule: { cron: '0 3 * * *', window: '02:00-06:00' },
        },
      })
      assert.deepEqual(
        { ...made, definition: {}, updatedAt: '', nextStart: '' },
        {
          name: 'one',
          origin: 'administration',
          isEnabled: true,
          source: 'quay.io',
          target: null,
          cron: '0 3 * * *',
          nextStart: '',
          isWished: false,
          updatedAt: '',
          last: null,
          definition: {},
        },
      )
      assert.match(made.nextStart ?? '', /T03:00:00\.000Z$/)
      assert.deepEqual(made.definition['tags'], {
        names: [],
        include: [],
        exclude: [],
        semver: '>=1.2',
        newest: 5,
        immutable: [],
      })
      assert.deepEqual(await call('mirror.get', { job: 'one' }), made)
      const changed = await call('mirror.put', {
        job: 'one',
        definition: { ...definition, name: 'one', enabled: false },
      })
      assert.deepEqual([changed.isEnabled, changed.cron, changed.nextStart], [false, null, null])
      await call('mirror.put', { job: 'two', definition: { ...definition, name: 'two' } })
      await call('mirror.put', { job: 'three', definition: { ...definition, name: 'three' } })
      const first = await call('mirror.list', { n: 2 })
      assert.deepEqual([first.items.map(({ name }) => name), first.next], [['one', 'three'], 'three'])
      const rest = await call('mirror.list', { n: 2, last: 'three' })
      assert.deepEqual([rest.items.map(({ name }) => name), rest.next], [['two'], null])
      assert.equal(await call('mirror.remove', { job: 'two' }), undefined)
      await rejectsWith('not_found', call('mirror.get', { job: 'two' }))
      await rejectsWith('not_found', call('mirror.remove', { job: 'two' }))
    })

    it('writes wishes down, each once', async () => {
      await call('mirror.put', { job: 'wished', definition: { ...definition, name: 'wished' } })
      for (let times = 0; times < 3; times++)
        assert.equal((await call('mirror.run', { job: 'wished' })).job, 'wished')
      const wishes = await opened.metadata.listMirrorWishes()
      assert.deepEqual(
        wishes.map(({ job, wish }) => [job, wish.trigger, wish.by]),
        [['wished', ...opened.wisher]],
      )
      assert.equal((await call('mirror.get', { job: 'wished' })).isWished, true)
      await rejectsWith('not_found', call('mirror.run', { job: 'absent' }))
      await call('mirror.remove', { job: 'wished' })
    })

    it('takes jobs with as many repositories as one may have', async () => {
      const repositories = Array.from({ length: 10_000 }, (_, index) => `acme/project-${index}/web`)
      const many = { ...definition, name: 'many', repositories }
      const put = await call('mirror.put', { job: 'many', definition: many })
      assert.equal((put.definition['repositories'] as string[]).length, 10_000)
      await call('mirror.remove', { job: 'many' })
    })

    it('tells of runs and their results in pages', async () => {
      const { metadata } = opened
      await call('mirror.put', { job: 'run', definition: { ...definition, name: 'run' } })
      const ids: string[] = []
      for (let index = 0; index < 3; index++) {
        const startedAt = new Date(Date.UTC(2030, 0, 1, index))
        const id = newMirrorRunId(startedAt)
        const job = parseMirrorJobName('run')
        await metadata.beginMirrorRun({ id, job, trigger: 'schedule', by: null, startedAt })
        ids.unshift(id)
      }
      const [newest = '', middle = '', oldest = ''] = ids
      const resumeAt = new Date('2030-01-01T09:00:00Z')
      const { id } = (await metadata.listMirrorRuns({ limit: 1 }))[0] ?? assert.fail()
      const totals = { ...noTotals, failed: 5, pullsLeft: 12 }
      await metadata.saveMirrorRun(id, { totals, resumeAt, reason: 'The source asks for a pause.' })
      const job = parseMirrorJobName('run')
      await metadata.leaseMirrorJob(job, { holder: 'a', until: new Date(Date.now() + 60_000) })
      const shown = await call('mirror.status', { run: newest })
      assert.deepEqual(
        [shown.state, shown.resumeAt, shown.reason, shown.totals.failed, shown.totals.pullsLeft],
        ['paused', resumeAt.toISOString(), 'The source asks for a pause.', 5, 12],
      )
      assert.equal((await call('mirror.get', { job: 'run' })).last?.id, newest)
      const page = await call('mirror.runs', { job: 'run', n: 2 })
      assert.deepEqual([page.items.map(run => run.id), page.next], [[newest, middle], middle])
      const next = await call('mirror.runs', { job: 'run', n: 2, last: middle })
      assert.deepEqual(
        next.items.map(run => [run.id, run.state, run.totals.pullsLeft]),
        [[oldest, 'interrupted', null]],
      )
      assert.equal(next.next, null)
      assert.equal((await call('mirror.runs', {})).items.length, 3)

      // As it is when the process that ran it was killed, and nobody begins it again.
      await metadata.releaseMirrorJob(job, 'a')
      const dead = await call('mirror.status', { run: newest })
      assert.deepEqual(
        [dead.state, dead.resumeAt, dead.endedAt, dead.reason],
        ['interrupted', null, null, 'The process that ran it is gone.'],
      )
      assert.equal((await call('mirror.get', { job: 'run' })).last?.state, 'interrupted')
      assert.equal((await call('mirror.runs', { n: 1 })).items[0]?.state, 'interrupted')

      const results = Array.from(
        { length: 5 },
        (_, index): MirrorResult => ({
          source: 'quay.io/acme/debian',
          target: 'acme/debian',
          tag: index === 4 ? null : parseTag(`v${index}`),
          outcome: index % 2 === 0 ? 'failed' : 'copied',
          digest: index % 2 === 0 ? null : digestOf(Buffer.from(String(index))),
          reason: index % 2 === 0 ? 'The source does not answer.' : null,
          bytes: index,
          at: resumeAt,
        }),
      )
      await metadata.addMirrorResults(id, results)
      const all = await call('mirror.results', { run: newest, n: 3 })
      assert.deepEqual(
        all.items.map(({ tag, outcome }) => [tag, outcome]),
        [
          ['v0', 'failed'],
          ['v1', 'copied'],
          ['v2', 'failed'],
        ],
      )
      const { items } = await call('mirror.results', { run: newest, last: all.next ?? '' })
      assert.deepEqual(
        items.map(({ tag }) => tag),
        ['v3', null],
      )
      const failed = await call('mirror.results', { run: newest, outcomes: 'failed,skipped' })
      assert.deepEqual(
        failed.items.map(({ tag }) => tag),
        ['v0', 'v2', null],
      )
      await rejectsWith('not_found', call('mirror.results', { run: '20300101T000000-000000000000' }))
      await rejectsWith('not_found', call('mirror.status', { run: '20300101T000000-000000000000' }))
    })

    it('refuses what could never run, in one sentence that names what is wrong', async () => {
      const put = async (changes: object) =>
        (
          await rejectsWith(
            'invalid',
            (call as (operation: string, input: object) => Promise<unknown>)('mirror.put', {
              job: 'wrong',
              definition: { ...definition, name: 'wrong', ...changes },
            }),
          )
        ).message
      for (const [changes, why] of [
        [{ source: {} }, /copy this registry to itself/],
        [{ target: { registry: 'QUAY.io' } }, /both quay\.io/],
        [
          { source: { registry: 'docker.io' }, target: { registry: 'registry-1.docker.io' } },
          /its source and its target are both docker\.io/,
        ],
        [{ source: { registry: 'quay.io', credentials: 'none' } }, /has no none; it has: hub/],
        [{ target: { credentials: 'hub' } }, /target\.credentials: this registry's own content needs none/],
        [{ schedule: { cron: 'never' } }, /definition\.schedule\.cron: not a cron expression/],
        [
          { schedule: { cron: '0 0 * * *', timezone: 'Mars' } },
          /definition\.schedule\.timezone: not a time zone/,
        ],
        [
          { schedule: { cron: '0 0 * * *', window: '25:00-26:00' } },
          /definition\.schedule\.window: from-to by the clock/,
        ],
        [{ tags: { include: ['('] } }, /definition\.tags\.include\.0: not a regular expression/],
        [{ colour: 'red' }, /definition\.colour is no field of it/],
        [{ repositories: [] }, /definition\.repositories/],
        [{ name: 'another' }, /definition\.name: it has another name than the job in the path/],
      ] as const) {
        const message = await put(changes)
        assert.match(message, why)
        assert.equal(message.split('\n').length, 1)
      }
      const unchecked = call as (operation: string, input: object) => Promise<unknown>
      await rejectsWith('invalid', unchecked('mirror.get', { job: '../x' }))
      await rejectsWith('invalid', unchecked('mirror.status', { run: 'x' }))
      await rejectsWith('invalid', unchecked('mirror.results', { run: 'x', outcomes: 'all' }))
    })
  })
