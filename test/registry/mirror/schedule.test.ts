import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { mirrorJobSchema } from '../../../src/mirror-job.ts'
import { beginningOf, type JobState, nextStart } from '../../../src/registry/mirror/due.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { nextScheduled } from '../../../src/registry/mirror/schedule.ts'
import { notBefore } from '../../../src/registry/mirror/window.ts'
import type { MirrorRun } from '../../../src/storage/metadata/mirror-records.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'

const at = (text: string): Date => new Date(text)
const shown = (date: Date | undefined): string | undefined => date?.toISOString()

function job(more: object = {}) {
  return mirrorJobSchema.parse({
    name: 'debian',
    source: { registry: 'quay.io' },
    target: {},
    repositories: ['acme/debian'],
    ...more,
  })
}
const daily = { cron: '0 3 * * *' }

function scheduled(more: object) {
  return job({ schedule: { ...daily, ...more } }).schedule
}

describe('A schedule', () => {
  it('comes strictly after what it is asked from, on the clocks of its time zone', () => {
    assert.equal(shown(nextScheduled(scheduled({}), at('2030-01-01T02:59:59Z'))), '2030-01-01T03:00:00.000Z')
    assert.equal(shown(nextScheduled(scheduled({}), at('2030-01-01T03:00:00Z'))), '2030-01-02T03:00:00.000Z')
    assert.equal(
      shown(nextScheduled(scheduled({}), at('2030-01-01T03:00:00.5Z'))),
      '2030-01-02T03:00:00.000Z',
    )
    const berlin = scheduled({ timezone: 'Europe/Berlin' })
    assert.equal(shown(nextScheduled(berlin, at('2030-07-01T00:00:00Z'))), '2030-07-01T01:00:00.000Z')
    assert.equal(shown(nextScheduled(berlin, at('2030-01-01T00:00:00Z'))), '2030-01-01T02:00:00.000Z')
  })

  it('comes once on the day on which its hour is left out, and once on the one that has it twice', () => {
    const berlin = scheduled({ cron: '30 2 * * *', timezone: 'Europe/Berlin' })
    const comes = (after: string): (string | undefined)[] => {
      const times: Date[] = []
      for (let index = 0; index < 3; index++)
        times.push(nextScheduled(berlin, times.at(-1) ?? at(after)) ?? assert.fail())
      return times.map(shown)
    }
    assert.deepEqual(comes('2026-03-28T12:00:00Z'), [
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
      '2026-03-31T00:30:00.000Z',
    ])
    assert.deepEqual(comes('2026-10-24T12:00:00Z'), [
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
      '2026-10-27T01:30:00.000Z',
    ])
  })

  it('never comes where there is none, or its day does not exist', () => {
    assert.equal(nextScheduled(undefined, new Date()), undefined)
    assert.equal(nextScheduled(scheduled({ cron: '0 0 30 2 *' }), new Date()), undefined)
  })
})

describe('A window', () => {
  const night = scheduled({ window: '22:00-06:00' })
  it('over midnight is open until it ends, and says when it opens', () => {
    for (const time of ['22:00:00', '23:59:59', '00:00:00', '05:59:59'])
      assert.equal(notBefore(night, at(`2030-01-01T${time}Z`)), undefined, time)
    for (const time of ['06:00:00', '12:34:56', '21:59:59'])
      assert.equal(shown(notBefore(night, at(`2030-01-01T${time}Z`))), '2030-01-01T22:00:00.000Z', time)
  })

  it('within a day opens the next day when it is over', () => {
    const noon = scheduled({ window: '11:30-12:30', timezone: 'Asia/Tokyo' })
    assert.equal(notBefore(noon, at('2030-01-01T03:00:00Z')), undefined)
    assert.equal(shown(notBefore(noon, at('2030-01-01T03:30:00Z'))), '2030-01-02T02:30:00.000Z')
    assert.equal(shown(notBefore(noon, at('2030-01-01T02:00:00Z'))), '2030-01-01T02:30:00.000Z')
  })

  it('goes by clocks that are put forward and back, and is not for ever closed', () => {
    const early = (window: string) => scheduled({ window, timezone: 'Europe/Berlin' })
    // At 01:00 UTC it is 03:00 there, and has not been 02:30.
    assert.equal(notBefore(early('02:30-06:00'), at('2026-03-29T01:00:00Z')), undefined)
    assert.equal(
      shown(notBefore(early('02:15-02:45'), at('2026-03-29T01:00:00Z'))),
      '2026-03-30T00:15:00.000Z',
    )
    for (const time of ['00:30', '01:15', '01:59'])
      assert.equal(notBefore(early('02:00-03:00'), at(`2026-10-25T${time}:00Z`)), undefined, time)
    assert.equal(
      shown(notBefore(early('02:00-03:00'), at('2026-10-25T02:00:00Z'))),
      '2026-10-26T01:00:00.000Z',
    )
  })

  it('that ends when it begins, or that is not there, is always open', () => {
    assert.equal(notBefore(scheduled({ window: '10:00-10:00' }), at('2030-01-01T03:00:00Z')), undefined)
    assert.equal(notBefore(scheduled({}), new Date()), undefined)
    assert.equal(notBefore(undefined, new Date()), undefined)
  })

  it('is open when it says that it opens, and that is later', () => {
    const clock = fc
      .tuple(fc.nat(23), fc.nat(59))
      .map(parts => parts.map(part => String(part).padStart(2, '0')).join(':'))
    const zone = fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Asia/Kolkata',
      'Pacific/Chatham',
    )
    fc.assert(
      fc.property(
        clock,
        clock,
        zone,
        fc.date({ min: at('2029-01-01'), max: at('2031-01-01'), noInvalidDate: true }),
        (from, to, timezone, now) => {
          const schedule = scheduled({ window: `${from}-${to}`, timezone })
          const opens = notBefore(schedule, now)
          if (opens === undefined) return
          assert.ok(opens > now)
          assert.ok(
            opens.getTime() - now.getTime() <= 25.5 * 60 * 60 * 1000,
            `${now.toISOString()} ${opens.toISOString()}`,
          )
          assert.equal(notBefore(schedule, opens), undefined, opens.toISOString())
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('Whether a job begins', () => {
  const name = parseMirrorJobName('debian')
  const run = (startedAt: string, more: Partial<MirrorRun> = {}): MirrorRun => ({
    id: newMirrorRunId(at(startedAt)),
    job: name,
    trigger: 'schedule',
    by: null,
    startedAt: at(startedAt),
    totals: noTotals,
    outcome: 'ok',
    ...more,
  })
  const state = (more: Partial<JobState> = {}): JobState => ({
    job: job({ schedule: daily }),
    origin: 'configuration',
    updatedAt: null,
    last: undefined,
    wish: undefined,
    knownSince: at('2030-01-01T00:00:00Z'),
    ...more,
  })
  const begins = (given: JobState, now: string, jitterMs = 0) =>
    beginningOf(given, at(now), jitterMs)?.trigger

  it('is decided by the schedule, with its jitter', () => {
    assert.equal(begins(state(), '2030-01-01T02:59:59Z'), undefined)
    assert.equal(begins(state(), '2030-01-01T03:00:00Z'), 'schedule')
    assert.equal(begins(state(), '2030-01-01T03:00:59Z', 60_000), undefined)
    assert.equal(begins(state(), '2030-01-01T03:01:00Z', 60_000), 'schedule')
    const last = run('2030-01-01T03:00:30Z')
    assert.equal(begins(state({ last }), '2030-01-01T23:00:00Z'), undefined)
    assert.equal(begins(state({ last }), '2030-01-02T03:00:00Z'), 'schedule')
    assert.equal(begins(state({ job: job() }), '2040-01-01T00:00:00Z'), undefined)
  })

  it('once for all times that were missed while nothing ran', () => {
    const last = run('2029-12-20T03:00:00Z')
    assert.equal(begins(state({ last }), '2030-01-01T00:00:01Z'), 'schedule')
    const now = run('2030-01-01T00:00:01Z')
    assert.equal(begins(state({ last: now }), '2030-01-01T00:00:02Z'), undefined)
  })

  it('not for times before a schedule was made', () => {
    const given = state({
      origin: 'administration',
      last: run('2029-06-01T00:00:00Z'),
      updatedAt: at('2030-01-01T12:00:00Z'),
    })
    assert.equal(begins(given, '2030-01-01T13:00:00Z'), undefined)
    assert.equal(shown(nextStart(given, at('2030-01-01T13:00:00Z'))), '2030-01-02T03:00:00.000Z')
  })

  it('by its schedule after a run of a clock that was years ahead, once for each time', () => {
    const ahead = run('2099-01-01T00:00:00Z')
    assert.equal(begins(state({ last: ahead }), '2030-01-01T02:59:59Z'), undefined)
    assert.equal(begins(state({ last: ahead }), '2030-01-01T03:00:00Z'), 'schedule')
    // What was put then, too: the run that has begun since counts all the same.
    const put = { origin: 'administration', updatedAt: at('2099-01-01T00:00:00Z') } as const
    assert.equal(begins(state({ ...put, last: ahead }), '2030-01-01T03:00:00Z'), 'schedule')
    const last = run('2030-01-01T03:00:00Z')
    assert.equal(begins(state({ ...put, last }), '2030-01-01T23:00:00Z'), undefined)
    assert.equal(begins(state({ ...put, last }), '2030-01-02T03:00:00Z'), 'schedule')
    // A clock that is a little ahead is no reason for a run too many.
    assert.equal(begins(state({ last: run('2030-01-01T03:00:20Z') }), '2030-01-01T03:00:01Z'), undefined)
  })

  it('at once when somebody wishes it, disabled or not', () => {
    const wish = { trigger: 'api', at: new Date(), by: 'alice' } as const
    const given = state({ job: job({ enabled: false }), wish })
    assert.deepEqual(beginningOf(given, new Date(), 0), { trigger: 'api', by: 'alice' })
  })

  it('again when its process has died, for the same reason', () => {
    const last = run('2030-01-01T03:00:00Z', { outcome: undefined, trigger: 'webhook', by: null })
    assert.equal(begins(state({ last }), '2030-01-01T03:00:01Z'), 'webhook')
    const disabled = job({ schedule: daily, enabled: false })
    assert.equal(begins(state({ last, job: disabled }), '2030-01-01T03:00:01Z'), undefined)
  })

  it('never by the schedule of one that is disabled', () => {
    const disabled = state({ job: job({ schedule: daily, enabled: false }) })
    assert.equal(begins(disabled, '2031-01-01T03:00:00Z'), undefined)
    assert.equal(nextStart(disabled, new Date()), undefined)
  })
})
