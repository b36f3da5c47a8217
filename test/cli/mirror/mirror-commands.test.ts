import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { type Ran, runVarve } from '../../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('varve mirror, on the database itself', () => {
  let directory: TemporaryDirectory
  let source: ServedRegistry
  let host: string
  let data: string
  before(async () => {
    directory = await temporaryDirectory()
    data = join(directory.path, 'target')
    source = await serveRegistry(join(directory.path, 'source'))
    host = new URL(source.url).host
    const pusher = new ImagePusher(source.url)
    for (const tag of ['v1', 'v2']) await pusher.image('acme/web', tag, { layers: [randomBytes(50_000)] })
  })
  after(async () => {
    await source[Symbol.asyncDispose]()
    await directory.remove()
  })

  const file = async (name: string, text: string): Promise<string> => {
    const path = join(directory.path, `${name}.yaml`)
    await writeFile(path, text)
    return path
  }
  const jobFile = async (name = 'web', more = '') =>
    await file(
      name,
      `name: ${name}\nsource: { registry: "${host}" }\ntarget: { prefix: copies/ }\nrepositories: [acme/web]\n${more}`,
    )
  const run = async (...args: readonly string[]): Promise<Ran> =>
    await runVarve(['mirror', ...args, '--data', data])
  const succeeds = async (...args: readonly string[]): Promise<string> => {
    const ran = await run(...args)
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`)
    return ran.stdout
  }
  const fails = async (code: number, ...args: readonly string[]): Promise<string> => {
    const ran = await run(...args)
    assert.equal(ran.code, code, `${args.join(' ')}: ${ran.stdout}${ran.stderr}`)
    return ran.stderr
  }
  const records = (text: string): Record<string, unknown>[] =>
    text
      .trim()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))

  it('plans a job that is only in a file, and changes nothing', async () => {
    const path = await jobFile()
    const plan = await succeeds('plan', '--file', path)
    assert.match(plan, /^copy +\S+\/acme\/web:v1 → copies\/acme\/web: /m)
    assert.match(plan, /\n2 copy; asked by \d+ requests\n$/)
    const again = records(await succeeds('plan', '--file', path, '--json'))
    assert.deepEqual(
      again.map(({ type, tag, action }) => [type, tag, action]),
      [
        ['step', 'v1', 'copy'],
        ['step', 'v2', 'copy'],
        ['done', undefined, undefined],
      ],
    )
    assert.match(await succeeds('list'), /^no mirror jobs/)
    assert.match(await succeeds('status'), /^no runs yet/)
  })

  it('runs it, tells of each image and blob, and once more costs one HEAD a tag', async () => {
    const path = await jobFile()
    const first = records(await succeeds('run', '--file', path))
    const types = first.map(({ type }) => String(type))
    assert.equal(types[0], 'begun')
    assert.equal(types.at(-1), 'done')
    for (const type of ['copying', 'blob', 'tag']) assert.ok(types.includes(type), type)
    const totals = first.at(-1)?.['totals'] as Record<string, number>
    assert.deepEqual([totals['copied'], totals['failed']], [2, 0])
    assert.match(await succeeds('plan', '--file', path), /^2 unchanged; asked by \d+ requests\n$/)
    const again = records(await succeeds('run', '--file', path)).at(-1) ?? {}
    assert.equal((again['totals'] as Record<string, number>)['unchanged'], 2)
  })

  it('keeps, lists, shows and deletes jobs and what their runs did', async () => {
    assert.equal(await succeeds('put', await jobFile('kept')), 'mirror job kept is kept\n')
    const scheduled = await jobFile('nightly', 'schedule: { cron: "0 3 * * *" }\nenabled: true\n')
    assert.match(await succeeds('put', scheduled), /it runs next at \d{4}-\d\d-\d\d 03:00 UTC\n$/)
    await succeeds('put', await jobFile('off', 'enabled: false\n'))
    await succeeds('run', 'kept')
    const list = await succeeds('list')
    assert.match(list, /^kept +127\.0\.0\.1:\d+ +here +- +\d{4}-\S+ \S+ +ok +2 unchanged/m)
    assert.match(list, /^nightly .*03:00 +- +-/m)
    assert.match(list, /^off .*disabled/m)
    const status = await succeeds('status', 'kept')
    assert.match(
      status,
      /^job +kept\nrun +\d{8}T\d{6}-[0-9a-f]{12}\nbegan .* by command \(system:\S+\)\nstate +ok\n/,
    )
    assert.match(await succeeds('status'), /web +command \(system:\S+\) +ok/)
    await fails(3, 'status', 'nightly')
    await fails(3, 'status', 'absent')
    assert.equal(await succeeds('rm', 'off'), 'deleted mirror job off\n')
    await fails(3, 'rm', 'off')
    await fails(3, 'run', 'off')
  })

  it('ends with 1 when something failed, and says what and why', async () => {
    const path = await jobFile('partly', 'tags: { names: [v1, absent] }\n')
    const { code, stdout } = await run('run', '--file', path)
    assert.equal(code, 1)
    assert.equal(records(stdout).at(-1)?.['outcome'], 'partial')
    const status = await succeeds('status', 'partly')
    assert.match(status, /state +partial/)
    assert.match(status, /FAILED +REASON\n\S+\/acme\/web:absent +\S/)
    const [failed] = JSON.parse(await succeeds('status', 'partly', '--results', 'failed', '--json')) as {
      tag: string
      reason: string
    }[]
    assert.equal(failed?.tag, 'absent')
    assert.match(failed?.reason ?? '', /^\S.*\.$/)
  })

  it('runs no job that another process runs', async () => {
    const metadata = await openSqliteMetadata(join(data, 'registry', 'varve.db'))
    await metadata.leaseMirrorJob(parseMirrorJobName('kept'), {
      holder: 'another',
      until: new Date(Date.now() + 60_000),
    })
    await metadata[Symbol.asyncDispose]()
    assert.match(await fails(5, 'run', 'kept'), /^varve: Another process runs the mirror job kept now; .+\n$/)
  })

  it('is checked in the configuration before anything starts, and shown there in one line', async () => {
    const check = async (jobs: readonly object[]): Promise<Ran> => {
      const path = join(directory.path, 'config.json')
      await writeFile(path, JSON.stringify({ mirror: { jobs } }))
      return await runVarve(['config', 'check', '--config', path, '--data', data])
    }
    const job = { name: 'web', source: { registry: host }, target: {}, repositories: ['acme/web'] }
    const good = await check([job])
    assert.equal(good.code, 0)
    const line = good.stdout.split('\n').find(one => one.startsWith('mirror.jobs ')) ?? assert.fail()
    assert.match(line, /\[\{"name":"web",.{50,}… +file/)
    const bad = await check([job, { ...job, name: 'hub', source: { registry: host, credentials: 'hub' } }])
    assert.equal(bad.code, 2)
    assert.match(bad.stderr, /^varve: The setting mirror\.jobs\.1 is not valid: .* has no hub; it has: none/)
    const misspelt = await check([{ ...job, target: undefined, targt: {} }])
    assert.match(misspelt.stderr, /^varve: The setting mirror\.jobs\.0\.targt does not exist/)
  })

  it('refuses what is written wrongly in one sentence', async () => {
    for (const [text, why] of [
      ['name: x\n', /The mirror job x is not valid: source: /],
      [`name: x\nsource: {}\ntarget: {}\nrepositories: [a/b]\n`, /copy this registry to itself/],
      [
        `name: x\nsource: { registry: "${host}" }\ntarget: {}\nrepositories: [a/b]\ncolour: red\n`,
        /colour is no field/,
      ],
      ['a: [', /is not used: it is not YAML/],
    ] as const) {
      const stderr = await fails(1, 'put', await file('wrong', text)).catch(
        async () => await fails(2, 'put', await file('wrong', text)),
      )
      assert.match(stderr, why)
      assert.equal(stderr.trim().split('\n').length, 1)
    }
    assert.match(await fails(2, 'put', join(directory.path, 'absent.yaml')), /cannot be read \(ENOENT\)/)
    const misplaced = await fails(2, 'status', '--results', 'web')
    assert.match(misplaced, /name its job before the option \(varve mirror status web --results\)/)
    await fails(2, 'run')
    await fails(2, 'run', 'web', '--file', 'x')
    await fails(2, 'plan')
  })
})
