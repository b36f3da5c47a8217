/** What clients see while the upstream moves a tag, and while it has had enough of us. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { findTag } from '../../fixtures/image/oci-layout.ts'
import { skopeoCopy } from '../../support/client-registry.ts'
import { skipWithout } from '../../support/programs.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { hubPrograms, startUpstreamHub, type UpstreamHub } from '../../support/upstream-hub.ts'

describe('a registry in front of another one', {
  skip: await skipWithout(...hubPrograms),
  timeout: 180_000,
}, () => {
  let stack: AsyncDisposableStack
  let hub: UpstreamHub
  let directory: string
  let registry: ServedRegistry
  let client: RegistryClient
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    hub = stack.use(await startUpstreamHub())
    directory = stack.use(await temporaryDirectory()).path
    const upstreams = Object.entries({ now: 0, soon: 1, later: 3600 }).map(([name, tagFreshSeconds]) => ({
      ...{ name, registry: hub.host, prefix: name, namespaces: [], tagFreshSeconds },
    }))
    const config = join(directory, 'varve.yaml')
    await writeFile(config, JSON.stringify({ upstreams }))
    registry = stack.use(await serveRegistry(join(directory, 'data'), '--config', config))
    client = new RegistryClient(registry.url)
  })
  afterEach(() => stack.disposeAsync())

  /** As a person pulls; answers the digest of what has come. */
  async function pull(image: string): Promise<string> {
    const layout = join(directory, 'layout')
    await rm(layout, { recursive: true, force: true })
    const from = `docker://${new URL(registry.url).host}/${image}`
    await skopeoCopy('--preserve-digests', from, `oci:${layout}:1`)
    return (await findTag(layout, '1')).digest
  }

  /** The upstream's part of an answer: as it is, or as one that has had enough. */
  function throttle(retryAfterSeconds: number): { readonly end: () => void } {
    const { answers } = hub.front
    hub.front.answers = (_request, response) => {
      response.writeHead(429, {
        'retry-after': String(retryAfterSeconds),
        'content-type': 'application/json',
      })
      response.end(
        '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}',
      )
      return true
    }
    return {
      end: () => {
        hub.front.answers = answers
      },
    }
  }

  it('gives a tag that was moved as it is there, as soon as it is not fresh any more, and until then as it was', async () => {
    const old = await hub.push('team/app', '1')
    for (const prefix of ['now', 'soon', 'later'])
      assert.equal(await pull(`${prefix}/team/app:1`), old.digest)
    const young = await hub.push('team/app', '1')
    assert.equal(await pull('now/team/app:1'), young.digest)
    while ((await pull('soon/team/app:1')) !== young.digest) await sleep(100)
    assert.equal(await pull('later/team/app:1'), old.digest)
    // What was pulled by digest stays what it is.
    assert.equal(await pull(`now/team/app@${old.digest}`), old.digest)
  })

  it('goes on giving what is known while the upstream answers 429, and leaves it alone', async () => {
    const image = await hub.push('team/app', '1')
    await pull('now/team/app:1')
    throttle(60)
    hub.front.take()
    for (let turn = 0; turn < 5; turn += 1) assert.equal(await pull('now/team/app:1'), image.digest)
    const known = await client.send('GET', '/v2/now/team/app/manifests/1')
    assert.equal(known.status, 200)
    assert.equal(known.headers['warning'], '110 - "Response is Stale"')
    assert.match(known.headers['age'] ?? '', /^\d+$/)
    assert.deepEqual(hub.front.take(), ['HEAD /v2/team/app/manifests/1'])
    // By digest, nothing is in doubt.
    const { headers } = await client.send('GET', `/v2/now/team/app/manifests/${image.digest}`)
    assert.equal(headers['warning'], undefined)
    for (const path of [
      'manifests/2',
      `manifests/sha256:${'0'.repeat(64)}`,
      `blobs/sha256:${'0'.repeat(64)}`,
    ])
      for (const method of ['GET', 'HEAD']) {
        const cold = await client.send(method, `/v2/now/team/app/${path}`)
        assert.equal(cold.status, 429, `${method} ${path}`)
        const seconds = Number(cold.headers['retry-after'])
        assert.ok(seconds > 0 && seconds <= 60, `Retry-After: ${cold.headers['retry-after']}`)
      }
    assert.deepEqual(hub.front.take(), [])
  })

  it('asks again when the upstream has said that it may', async () => {
    await hub.push('team/app', '1')
    await pull('now/team/app:1')
    const throttled = throttle(1)
    await pull('now/team/app:1')
    throttled.end()
    const young = await hub.push('team/app', '1')
    while ((await pull('now/team/app:1')) !== young.digest) await sleep(100)
    const { headers } = await client.send('GET', '/v2/now/team/app/manifests/1')
    assert.equal(headers['warning'], undefined)
  })
})
