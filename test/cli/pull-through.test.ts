import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { type CountedUpstream, countUpstream } from '../support/counted-upstream.ts'
import { startRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../support/served-registry.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** In processes of their own: what one worker has fetched, the others have. */
describe('varve serve in front of another registry, with two workers', { timeout: 120_000 }, () => {
  const stack = new AsyncDisposableStack()
  const layer = Buffer.alloc(200_000, 'layer')
  let upstream: CountedUpstream
  let registry: ServedRegistry
  let image: string

  before(async () => {
    const behind = stack.use(await startRegistry())
    image = await new RegistryClient(behind.url).pushImage('team/app', '1', layer)
    upstream = stack.use(await countUpstream(behind.url))
    const { path } = stack.use(await temporaryDirectory())
    const config = join(path, 'varve.yaml')
    await writeFile(config, `proxy:\n  remoteUrl: http://${upstream.host}\nregistry:\n  workers: 2\n`)
    registry = stack.use(await serveRegistry(join(path, 'data'), '--config', config))
  })
  after(() => stack.disposeAsync())

  it('pulls an image through once, whichever worker is asked, by either name', async () => {
    const prefix = upstream.host.replace(':', '-')
    for (let i = 0; i < 6; i += 1)
      for (const repository of ['team/app', `${prefix}/team/app`]) {
        // A connection of its own may come to the other worker.
        const headers = { connection: 'close' }
        const client = new RegistryClient(registry.url)
        const manifest = await client.send('GET', `/v2/${repository}/manifests/1`, { headers })
        assert.equal(manifest.headers['docker-content-digest'], image)
        const blob = await client.send('GET', `/v2/${repository}/blobs/${digestOf(layer)}`, { headers })
        assert.deepEqual(blob.bytes, layer)
      }
    assert.deepEqual(upstream.take().sort(), [
      `GET /v2/team/app/blobs/${digestOf(layer)}`,
      `GET /v2/team/app/manifests/${image}`,
      'HEAD /v2/team/app/manifests/1',
    ])
    const request = registry.lines().find(({ operation }) => operation === 'manifest.get')
    assert.equal(request?.['repository'], `${prefix}/team/app`)
  })

  it('counts that as distribution does, over all workers', async () => {
    const text = await (await fetch(`${registry.debugUrl}/metrics`)).text()
    const value = (name: string): number => {
      const line = text.split('\n').find(each => each.startsWith(`${name} `))
      assert.ok(line, `${name} in\n${text}`)
      return Number(line.split(' ')[1])
    }
    assert.equal(value('registry_proxy_requests_total{type="manifest"}'), 12)
    assert.equal(value('registry_proxy_hits_total{type="manifest"}'), 11)
    assert.equal(value('registry_proxy_misses_total{type="manifest"}'), 1)
    assert.equal(value('registry_proxy_requests_total{type="blob"}'), 12)
    assert.equal(value('registry_proxy_pulled_bytes_total{type="blob"}'), layer.length)
    assert.equal(value('registry_proxy_pushed_bytes_total{type="blob"}'), 12 * layer.length)
    assert.equal(value('varve_upstream_questions_total{upstream="proxy",outcome="ok"}'), 3)
    assert.equal(value('varve_upstream_closed_seconds{upstream="proxy"}'), 0)
  })
})
