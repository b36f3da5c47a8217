import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ImagePusher } from '../../support/image-pusher.ts'
import { eventually } from '../../support/mirror-runners.ts'
import { runVarve } from '../../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { testSecret } from '../../support/test-secrets.ts'

const hookToken = testSecret('mirror-hook')
  .replaceAll(/[^A-Za-z0-9._~+/-]/g, '-')
  .padEnd(20, '0')

describe('A registry with mirror jobs', () => {
  let directory: TemporaryDirectory
  let source: ServedRegistry
  let pusher: ImagePusher
  let target: ServedRegistry
  let config: string
  const serve = async () => await serveRegistry(join(directory.path, 'target'), '--config', config)
  before(async () => {
    directory = await temporaryDirectory()
    source = await serveRegistry(join(directory.path, 'source'))
    pusher = new ImagePusher(source.url)
    await push('v1')
    const tokens = join(directory.path, 'tokens')
    await writeFile(tokens, `# of the tests\n${hookToken}\n`, { mode: 0o600 })
    const common = { source: { registry: new URL(source.url).host }, repositories: ['acme/web'] }
    config = join(directory.path, 'config.yaml')
    const settings = {
      mirror: {
        hookTokenFile: tokens,
        jobs: [
          {
            ...common,
            name: 'often',
            target: { prefix: 'often/' },
            schedule: { cron: '* * * * * *', jitterSeconds: 0 },
          },
          { ...common, name: 'hooked', target: { prefix: 'hooked/' } },
          { ...common, name: 'off', target: {}, enabled: false },
        ],
      },
    }
    // YAML is a superset of JSON.
    await writeFile(config, JSON.stringify(settings))
    target = await serve()
  })
  after(async () => {
    await target[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    await directory.remove()
  })

  const push = async (tag: string) =>
    (await pusher.image('acme/web', tag, { layers: [randomBytes(20_000)] })).digest
  const digestAt = async (repository: string, tag: string) => {
    const response = await fetch(`${target.url}/v2/${repository}/manifests/${tag}`, {
      method: 'HEAD',
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    })
    return response.headers.get('docker-content-digest')
  }
  const hook = async (job: string, authorization: string | undefined, more: RequestInit = {}) =>
    await fetch(`${target.url}/api/v1/mirror/hooks/${job}`, {
      method: 'POST',
      ...more,
      headers: authorization === undefined ? {} : { authorization },
    })
  const mirror = async (...args: readonly string[]) => {
    const ran = await runVarve([
      'mirror',
      ...args,
      '--config',
      config,
      '--data',
      join(directory.path, 'target'),
    ])
    assert.equal(ran.code, 0, ran.stderr)
    return ran.stdout
  }

  it('copies by its schedule what the source has, and what comes later', async () => {
    await eventually('the first copy', async () => (await digestAt('often/acme/web', 'v1')) !== null)
    const digest = await push('v2')
    await eventually('the second', async () => (await digestAt('often/acme/web', 'v2')) === digest)
    assert.match(await mirror('list'), /^often .* ok /m)
    assert.equal(await digestAt('hooked/acme/web', 'v1'), null)
  })

  it('runs a job when its hook is called with a token, whatever is sent along', async () => {
    const answer = await hook('hooked', `Bearer ${hookToken}`, {
      body: JSON.stringify({ events: [{ action: 'push', target: { repository: 'acme/web' } }] }),
    })
    assert.equal(answer.status, 202)
    assert.deepEqual(await answer.json(), { job: 'hooked' })
    await eventually('the copy', async () => (await digestAt('hooked/acme/web', 'v1')) !== null)
    const [run] = JSON.parse(await mirror('status', '--json', '-n', '1000')).filter(
      ({ job }: { job: string }) => job === 'hooked',
    ) as { trigger: string; by: string | null }[]
    assert.deepEqual([run?.trigger, run?.by], ['webhook', null])
    assert.equal((await hook('hooked', `Bearer ${hookToken}`, { body: 'x'.repeat(100_000) })).status, 202)
  })

  it('wakes for nobody without a token, and only what is there', async () => {
    for (const [job, authorization, status] of [
      ['hooked', undefined, 401],
      ['hooked', `Bearer ${hookToken}x`, 401],
      ['hooked', `Basic ${Buffer.from(`x:${hookToken}`).toString('base64')}`, 401],
      ['absent', `Bearer wrong-${hookToken}`, 401],
      ['absent', `Bearer ${hookToken}`, 404],
      ['off', `Bearer ${hookToken}`, 409],
    ] as const) {
      const answer = await hook(job, authorization)
      assert.equal(answer.status, status, `${job} ${status}`)
      const text = await answer.text()
      assert.equal(text.includes(hookToken), false)
      if (status === 401) assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer realm=/)
    }
    const inUrl = await fetch(`${target.url}/api/v1/mirror/hooks/hooked?token=${hookToken}`, {
      method: 'POST',
    })
    assert.equal(inUrl.status, 401)
    assert.match(await inUrl.text(), /A token in the URL is not taken/)
  })

  it('refuses to change what the configuration has, and jobs that do not fit it', async () => {
    const removed = await runVarve([
      'mirror',
      'rm',
      'hooked',
      '--config',
      config,
      '--data',
      join(directory.path, 'target'),
    ])
    assert.equal(removed.code, 5)
    assert.match(removed.stderr, /is in the configuration \(mirror\.jobs\), and is changed there only/)
    const wrong = join(directory.path, 'wrong.yaml')
    const jobs = [
      { name: 'x', source: { registry: 'a.example', credentials: 'no' }, target: {}, repositories: ['a'] },
    ]
    await writeFile(wrong, JSON.stringify({ mirror: { jobs } }))
    const ran = await runVarve(['mirror', 'list', '--config', wrong, '--data', join(directory.path, 'wrong')])
    assert.equal(ran.code, 2)
    assert.match(
      ran.stderr,
      /^varve: The setting mirror\.jobs\.0 is not valid: .*remote\.credentials has no no; it has: none/,
    )
  })

  it('measures all that, and forgets its runs one day', async () => {
    const text = await (await fetch(`${target.debugUrl}/metrics`)).text()
    for (const pattern of [
      /^varve_mirror_runs_total\{job="often",outcome="ok"\} [1-9]/m,
      /^varve_mirror_last_success_timestamp_seconds\{job="hooked"\} 1/m,
      /^varve_mirror_tags_total\{job="hooked",outcome="copied"\} 2$/m,
      /^varve_mirror_requests_total\{job="hooked",host="source",what="manifest",code="200"\} [1-9]/m,
      /^varve_mirror_bytes_total\{job="often",direction="received"\} 4\d{4}$/m,
    ])
      assert.ok(pattern.test(text), String(pattern))
    // The other job has brought these blobs already: they were mounted.
    assert.ok(!text.includes('varve_mirror_bytes_total{job="hooked"'))
    const begun = target.lines().find(({ message }) => message === 'mirror run has begun')
    assert.ok(begun?.['job'] !== undefined && begun['run'] !== undefined)
  })

  it('stops in order, and goes on when it is started again', async () => {
    assert.equal(await target.stop(), 0)
    const digest = await push('v3')
    target = await serve()
    await eventually('what came meanwhile', async () => (await digestAt('often/acme/web', 'v3')) === digest)
    assert.deepEqual(
      target.lines().filter(({ level }) => level === 'error'),
      [],
    )
  })
})
