/** `kill -9` in the middle of a large run: what the next one asks for, in bytes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { gateUpstream } from '../../support/gated-upstream.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { skipWithout } from '../../support/programs.ts'
import { runVarve } from '../../support/run-varve.ts'
import { serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const MiB = 1024 * 1024

/**
 * Of each blob on its way: what has not been saved yet (mirror-ends.ts), two parts (registry.partBytes), and what the proxy
 * has sent that had not been read.
 */
const lostAtMost = 16 * MiB + 2 * 8 * MiB + 8 * MiB

describe('A registry that is killed amid a large run', { skip: await skipWithout('docker-registry') }, () => {
  it('fetches only what it does not have when it is there again', async () => {
    await using stack = new AsyncDisposableStack()
    const { path: directory } = stack.use(await temporaryDirectory())
    const registry = await startDockerRegistry(join(directory, 'source'))
    stack.defer(() => registry.stop())
    const pusher = new ImagePusher(registry.url)
    const whole = Array.from({ length: 3 }, () => randomBytes(20 * MiB))
    const cut = Array.from({ length: 2 }, () => randomBytes(80 * MiB))
    await pusher.image('acme/small', 'v1', { layers: [randomBytes(1 * MiB)] })
    const big = await pusher.image('acme/big', 'v1', { layers: [...whole, ...cut] })
    const upstream = stack.use(await gateUpstream(registry.url))
    for (const layer of cut) upstream.hold(digestOf(layer), 72 * MiB)

    const config = join(directory, 'config.json')
    const job = {
      name: 'big',
      source: { registry: upstream.host },
      target: {},
      repositories: ['acme/small', 'acme/big'],
      schedule: { cron: '* * * * * *', jitterSeconds: 0 },
    }
    await writeFile(config, JSON.stringify({ mirror: { jobs: [job] } }))
    const data = join(directory, 'target')
    const serve = async () => await serveRegistry(data, '--config', config)
    const killed = await serve()
    const has = async (url: string, path: string) =>
      (await fetch(`${url}/v2/acme/big/${path}`, { method: 'HEAD' })).ok
    for (const layer of cut) await upstream.reached(digestOf(layer))
    for (const layer of whole)
      await eventuallyWithin(
        60,
        'the layers that nothing holds',
        async () => await has(killed.url, `blobs/${digestOf(layer)}`),
      )
    assert.equal(await has(killed.url, 'manifests/v1'), false)
    const gone = once(killed.process, 'exit')
    killed.process.kill('SIGKILL')
    await gone
    upstream.release()
    upstream.take()
    const before = upstream.sent

    const next = stack.use(await serve())
    // The lease of the one that was killed has to run out first: a minute.
    await eventuallyWithin(180, 'the image', async () => await has(next.url, 'manifests/v1'))
    for (const layer of whole) assert.equal(upstream.sentOf(digestOf(layer)), layer.length)
    const reread = cut.map(layer => upstream.sentOf(digestOf(layer)) - layer.length)
    for (const bytes of reread) assert.ok(bytes >= 0 && bytes <= lostAtMost, `${bytes} bytes again`)
    const missing = 2 * 8 * MiB
    assert.ok(upstream.sent - before <= missing + 2 * lostAtMost, `${upstream.sent - before}`)
    const blobs = upstream.take().filter(({ line }) => /^GET .*\/blobs\//.test(line))
    assert.deepEqual(
      blobs.map(({ status, range }) => [status, /^bytes=[1-9]\d*-/.test(range ?? '')]),
      [
        [206, true],
        [206, true],
      ],
    )

    const found = await new ImagePusher(next.url).inventory()
    assert.match(found.get('acme/big v1') ?? '', new RegExp(`${big.digest}$`))
    const status = await runVarve([
      'mirror',
      'status',
      '--json',
      '-n',
      '1000',
      '--config',
      config,
      '--data',
      data,
    ])
    const runs = (JSON.parse(status.stdout) as { state: string }[]).map(({ state }) => state)
    assert.equal(runs.at(-1), 'interrupted')
    assert.ok(
      runs.slice(0, -1).every(state => state === 'ok' || state === 'running'),
      runs.join(),
    )
  })
})
