import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openMirrorJobs } from '../../src/cli/registry/mirror-jobs.ts'
import { loadConfig } from '../../src/config.ts'
import type { MirrorJobRecords } from '../../src/storage/metadata/mirror-records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const job = { name: 'web', source: { registry: 'quay.io' }, target: {}, repositories: ['acme/web'] }
const load = (jobs: readonly object[], more: Record<string, string> = {}) =>
  loadConfig({ environment: { VARVE_MIRROR_JOBS: JSON.stringify(jobs), ...more } })

describe('The settings of mirroring', () => {
  it('have no job and nobody who may wake one, unless given', () => {
    const { mirror } = loadConfig({ environment: {} }).config
    assert.deepEqual(mirror, { jobs: [], jobsAtOnce: 2, keepRunsDays: 30 })
  })

  it('take jobs as JSON from the environment, with all defaults', () => {
    const [web] = load([job]).config.mirror.jobs
    assert.equal(web?.name, 'web')
    assert.deepEqual(web?.prune, { mode: 'off', maxPercent: 20 })
  })

  it('are as the page about mirroring shows them', async () => {
    const page = await readFile(join(import.meta.dirname, '../../docs/mirroring.md'), 'utf8')
    const [, yaml = ''] = /```yaml\n(mirror:\n.*?)```/s.exec(page) ?? []
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'config.yaml')
    await writeFile(file, yaml)
    const [debian] = loadConfig({ file, environment: {} }).config.mirror.jobs
    const [defaults] = load([{ ...job, schedule: { cron: '* * * * *' } }]).config.mirror.jobs
    for (const key of [
      'enabled',
      'platforms',
      'platformMode',
      'referrers',
      'onlySigned',
      'overwrite',
      'prune',
    ] as const)
      assert.deepEqual(debian?.[key], defaults?.[key], key)
    assert.equal(debian?.schedule?.jitterSeconds, defaults?.schedule?.jitterSeconds)
    assert.equal(debian?.limits.concurrency, defaults?.limits.concurrency)
    assert.equal(debian?.limits.pullsLeft, defaults?.limits.pullsLeft)
  })

  it('are refused in one sentence that says where they are wrong', () => {
    for (const [jobs, why] of [
      [[job, job], /mirror\.jobs is not valid: there are two of the name web/],
      [[{ ...job, colour: 'red' }], /mirror\.jobs\.0\.colour does not exist/],
      [[{ ...job, name: 'UPPER' }], /mirror\.jobs\.0\.name is not valid/],
      [
        [{ ...job, source: { registry: 'https://quay.io' } }],
        /mirror\.jobs\.0\.source\.registry .*without https/,
      ],
      [[{ ...job, source: { registry: 'me:hidden@quay.io' } }], /mirror\.jobs\.0\.source\.registry/],
      [[{ ...job, schedule: { cron: 'often' } }], /mirror\.jobs\.0\.schedule\.cron is not valid: not a cron/],
    ] as const)
      assert.throws(
        () => load(jobs),
        (error: Error) => why.test(error.message) && !error.message.includes('hidden'),
      )
  })

  it('must fit the credentials that there are', () => {
    const records = {} as MirrorJobRecords
    const { config } = load([{ ...job, source: { registry: 'quay.io', credentials: 'robot' } }])
    assert.throws(
      () => openMirrorJobs(config, records),
      /mirror\.jobs\.0 is not valid: .*remote\.credentials has no robot/,
    )
    assert.throws(
      () => openMirrorJobs(load([{ ...job, source: {} }]).config, records),
      /copy this registry to itself/,
    )
  })
})
