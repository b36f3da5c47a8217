import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { MirrorJobs } from '../../../src/registry/mirror/mirror-jobs.ts'
import type { MirrorRunner } from '../../../src/registry/mirror/runner.ts'
import { type AdminRegistry, startAdminRegistry } from '../../support/admin-registry.ts'
import { endsWell, eventually, ScriptedRuns, startRunner } from '../../support/mirror-runners.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('varve mirror, for a registry elsewhere', () => {
  let directory: TemporaryDirectory
  let registry: AdminRegistry
  let runner: MirrorRunner
  let tokenFile: string
  let runs: ScriptedRuns
  const slow = Promise.withResolvers<void>()
  before(async () => {
    directory = await temporaryDirectory()
    registry = await startAdminRegistry()
    const { token } = await registry.as('root').call('token.create', { account: 'root' })
    tokenFile = join(directory.path, 'token')
    await writeFile(tokenFile, token, { mode: 0o600 })
    runs = new ScriptedRuns(async job => {
      if (job.name === 'slow') await slow.promise
      if (job.name !== 'bad') return await endsWell()
      return { totals: { ...noTotals, failed: 1 }, outcome: 'partial', reason: '1 tag failed.' }
    })
    const jobs = new MirrorJobs({ configured: [], records: registry.metadata, credentials: [] })
    runner = startRunner(registry.metadata, runs, [], { jobs })
  })
  after(async () => {
    slow.resolve()
    await runner[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })

  const run = async (...args: readonly string[]): Promise<Ran> =>
    await runVarve(['mirror', ...args, '--registry', registry.url, '--token-file', tokenFile])
  const put = async (name: string): Promise<Ran> => {
    const file = join(directory.path, `${name}.json`)
    await writeFile(
      file,
      JSON.stringify({ name, source: { registry: 'quay.io' }, target: {}, repositories: ['acme/web'] }),
    )
    return await run('put', file)
  }

  it('puts jobs there, has them run there, and waits until they have', async () => {
    for (const name of ['good', 'bad']) assert.equal((await put(name)).stdout, `mirror job ${name} is kept\n`)
    const good = await run('run', 'good', '--wait')
    assert.deepEqual([good.code, good.stdout], [0, 'good: ok: 3 unchanged.\n'])
    const bad = await run('run', 'bad', '--wait')
    assert.deepEqual([bad.code, bad.stdout], [1, 'bad: partial: 1 failed. 1 tag failed.\n'])
    assert.match((await run('run', 'good')).stdout, /^mirror job good runs soon; /)
    const { stdout } = await run('list')
    assert.match(stdout, /^bad +quay\.io +here .* partial +1 failed/m)
    assert.match((await run('status', 'bad')).stdout, /began +\S+ \S+ by api \(root\)/)
    assert.equal((await run('rm', 'bad')).code, 0)
    assert.equal((await run('run', 'bad')).code, 3)
  })

  it('waits no longer for a job that is deleted meanwhile', async () => {
    await put('slow')
    const waiting = run('run', 'slow', '--wait')
    await eventually('its run', async () => runs.begun.some(({ job }) => job === 'slow'))
    await registry.metadata.deleteMirrorJob(parseMirrorJobName('slow'))
    const { code, stderr } = await waiting
    assert.deepEqual(
      [code, stderr],
      [3, 'varve: There is no mirror job slow; varve mirror list shows all of them.\n'],
    )
  })

  it('runs no job there that is only in a file here', async () => {
    const { code, stderr } = await run('run', '--file', join(directory.path, 'good.json'))
    assert.equal(code, 2)
    assert.match(stderr, /varve mirror put .+good\.json makes it known there\.\n$/)
  })

  it('is for administrators', async () => {
    await registry.as('root').call('user.create', { name: 'alice', password: null })
    const { token } = await registry.service
      .as({ kind: 'system', name: 'system:test' })
      .call('token.create', { account: 'alice' })
    const file = join(directory.path, 'alice')
    await writeFile(file, token, { mode: 0o600 })
    const ran = await runVarve(['mirror', 'list', '--registry', registry.url, '--token-file', file])
    assert.equal(ran.code, 4)
    assert.match(ran.stderr, /only admins may/)
  })
})
