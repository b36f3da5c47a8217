/** What becomes of runs when the source is asked too much. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { type GatedUpstream, gateUpstream } from '../../support/gated-upstream.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithoutOlareg, startOlareg } from '../../support/olareg.ts'
import { skipWithout } from '../../support/programs.ts'
import { runVarve } from '../../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const skip = (await skipWithout('docker-registry')) || (await skipWithoutOlareg())

/** More than a client waits for by itself. */
const longSeconds = 3600

interface RunView {
  readonly job: string
  readonly state: string
  readonly reason: string | null
  readonly resumeAt: string | null
  readonly totals: { readonly copied: number; readonly failed: number }
}

describe('A source that says 429', { skip }, () => {
  const stack = new AsyncDisposableStack()
  let directory: string
  let source: string
  before(async () => {
    directory = stack.use(await temporaryDirectory()).path
    const registry = await startDockerRegistry(join(directory, 'source'))
    stack.defer(() => registry.stop())
    source = registry.url
    const pusher = new ImagePusher(source)
    for (const tag of ['v1', 'v2', 'v3', 'v4'])
      await pusher.image('acme/web', tag, { layers: [randomBytes(200_000), randomBytes(100_000)] })
  })
  after(() => stack.disposeAsync())

  let upstream: GatedUpstream
  beforeEach(async () => {
    upstream = stack.use(await gateUpstream(source))
  })

  const jobOf = (name: string, more: object = {}) => ({
    name,
    source: { registry: upstream.host },
    target: { prefix: `${name}/` },
    repositories: ['acme/web'],
    ...more,
  })

  async function serveWith(name: string, job: object): Promise<ServedRegistry & { readonly config: string }> {
    const config = join(directory, `${name}.json`)
    await writeFile(config, JSON.stringify({ mirror: { jobs: [job] } }))
    return { ...(await serveRegistry(join(directory, name), '--config', config)), config }
  }

  async function newestRun(name: string, config: string): Promise<RunView> {
    const { code, stdout, stderr } = await runVarve([
      ...['mirror', 'status', name, '--json', '--config', config, '--data', join(directory, name)],
    ])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as RunView
  }

  const said = (server: ServedRegistry, message: string) =>
    server.lines().filter(line => line['message'] === message)

  it('for a while: the run pauses for as long as it says, and finishes', async () => {
    upstream.retryAfter = '3'
    const job = jobOf('patient', { schedule: { cron: '* * * * * *', jitterSeconds: 0 } })
    await using server = await serveWith('patient', job)
    await eventuallyWithin(120, '429', () => upstream.take().some(({ status }) => status === 429))
    await eventuallyWithin(120, 'a pause', async () => said(server, 'mirror run is paused').length > 0)
    assert.match(String(said(server, 'mirror run is paused')[0]?.['reason']), /asks to slow down \(429\)/)
    upstream.retryAfter = undefined
    await eventuallyWithin(120, 'the end', () => said(server, 'mirror run has ended').length > 0)
    const [end] = said(server, 'mirror run has ended')
    assert.deepEqual([end?.['outcome'], end?.['copied'], end?.['failed']], ['ok', 4, 0])
    assert.equal(said(server, 'mirror run has begun')[0]?.['run'], end?.['run'])
    assert.ok(said(server, 'mirror run goes on').length > 0)
  })

  it('for longer: what is here is served all the same, and the job pauses until then', async () => {
    const job = jobOf('known', { schedule: { cron: '* * * * * *', jitterSeconds: 0 } })
    await using server = await serveWith('known', job)
    await eventuallyWithin(120, 'the first run', () => said(server, 'mirror run has ended').length > 0)
    upstream.retryAfter = String(longSeconds)
    await eventuallyWithin(120, 'a pause', async () => said(server, 'mirror run is paused').length > 0)
    upstream.take()
    const pulled = await new ImagePusher(server.url).inventory()
    assert.equal([...pulled.keys()].filter(at => at.startsWith('known/acme/web v')).length, 4)
    const { state, resumeAt } = await newestRun('known', server.config)
    assert.equal(state, 'paused')
    const seconds = (Date.parse(resumeAt ?? '') - Date.now()) / 1000
    assert.ok(seconds > longSeconds - 120 && seconds <= longSeconds, `${seconds}`)
    assert.deepEqual(upstream.take(), [])
  })

  it('in the middle of a run: what was copied is not asked for again', async () => {
    const job = jobOf('amid', { limits: { concurrency: 1 }, tags: { names: ['v1', 'v2', 'v3', 'v4'] } })
    const file = join(directory, 'amid.job.json')
    await writeFile(file, JSON.stringify(job))
    const manifest = await new ImagePusher(source).getManifest('acme/web', 'v3')
    const { layers = [] } = JSON.parse(manifest.bytes.toString()) as { layers?: { digest: string }[] }
    const [layer] = layers
    assert.ok(layer !== undefined)
    upstream.hold(layer.digest, 50_000)
    const running = runVarve(['mirror', 'run', '--file', file, '--data', join(directory, 'amid')])
    await upstream.reached(layer.digest)
    upstream.retryAfter = '2'
    upstream.release()
    await eventuallyWithin(120, '429', () => upstream.take().some(({ status }) => status === 429))
    upstream.retryAfter = undefined
    const { code, stdout, stderr } = await running
    assert.equal(code, 0, stdout + stderr)
    const { outcome, totals } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
      outcome: string
      totals: RunView['totals']
    }
    assert.deepEqual([outcome, totals.copied, totals.failed], ['ok', 4, 0])
    const all = new Map<string, number>()
    for (const tag of ['v1', 'v2', 'v3', 'v4']) {
      const { bytes } = await new ImagePusher(source).getManifest('acme/web', tag)
      const named = JSON.parse(bytes.toString()) as Named
      for (const { digest, size } of [named.config, ...named.layers]) all.set(digest, size)
    }
    for (const [digest, size] of all) assert.equal(upstream.sentOf(digest), size, digest)
  })

  it('because it limits requests: it is asked as often as it takes', async () => {
    const storage = join(directory, 'limited')
    const generous = await startOlareg(storage)
    const pusher = new ImagePusher(generous.url)
    for (const tag of ['v1', 'v2', 'v3'])
      await pusher.image('acme/web', tag, { layers: [randomBytes(1000), randomBytes(1000)] })
    await generous.stop()
    const olareg = await startOlareg(storage, { rateLimit: 5 })
    stack.defer(() => olareg.stop())
    const limited = stack.use(await gateUpstream(olareg.url))
    const file = join(directory, 'limited.job.json')
    await writeFile(file, JSON.stringify({ ...jobOf('limited'), source: { registry: limited.host } }))
    const { code, stdout, stderr } = await runVarve([
      ...['mirror', 'run', '--file', file, '--data', join(directory, 'limited-copy')],
    ])
    assert.equal(code, 0, stdout + stderr)
    assert.ok(limited.take().some(({ status }) => status === 429))
  })
})

interface Named {
  readonly config: { readonly digest: string; readonly size: number }
  readonly layers: readonly { readonly digest: string; readonly size: number }[]
}
