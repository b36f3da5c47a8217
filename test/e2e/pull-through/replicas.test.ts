/** Replicas on PostgreSQL and S3 in front of one upstream: what one of them fetches, the others have. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { gatedBlob } from '../../support/gated-blob.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../../support/replicated-registry.ts'

const mebibyte = 1024 ** 2

describe('two replicas of two workers each', {
  skip: await skipWithoutReplicas(),
  timeout: 300_000,
}, () => {
  const stack = new AsyncDisposableStack()
  let source: RegistryClient
  let front: CountedUpstream
  let registry: ReplicatedRegistry
  before(async () => {
    const behind = stack.use(await startRegistry())
    source = new RegistryClient(behind.url)
    front = stack.use(await countUpstream(behind.url))
    const upstreams = [{ name: 'hub', registry: front.host, prefix: 'hub', tagFreshSeconds: 3600 }]
    // However slow this machine is: nobody gives up and asks for himself.
    const pullThrough = { answerWithinSeconds: 600 }
    registry = stack.use(
      await startReplicatedRegistry({
        replicas: 2,
        registry: { workers: 2 },
        settings: { upstreams, pullThrough },
      }),
    )
  })
  after(() => stack.disposeAsync())

  async function open(url: string, path: string): Promise<IncomingMessage> {
    const asked = get(`${url}/v2/hub/${path}`, { agent: false })
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 200, path)
    return answer
  }
  const bytesOf = async (answer: IncomingMessage): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>))

  it('ask for each blob once, however many pull at once, and whoever is asked', async () => {
    const layer = randomBytes(12 * mebibyte)
    const digest = digestOf(layer)
    const image = await source.pushImage('team/app', '1', layer)
    const blob = gatedBlob(digest, layer)
    front.answers = blob.answers
    const pull = async (): Promise<void> => {
      const manifest = await open(registry.url, 'team/app/manifests/1')
      assert.equal(digestOf(await bytesOf(manifest)), image)
      const [config, bytes] = await Promise.all(
        [digestOf(Buffer.from('{}')), digest].map(async each =>
          bytesOf(await open(registry.url, `team/app/blobs/${each}`)),
        ),
      )
      assert.equal(config?.toString(), '{}')
      assert.ok(bytes?.equals(layer))
    }
    await Promise.all(Array.from({ length: 24 }, pull))
    assert.equal(blob.asked(), 1)
    assert.equal(blob.sentBytes(), layer.length)
    const asked = front.take()
    assert.equal(asked.filter(line => line.includes('/blobs/')).length, 2)
    // Manifests are small: each process asks for itself.
    const times = asked.filter(line => line === `GET /v2/team/app/manifests/${image}`).length
    assert.ok(times >= 1 && times <= 4, `${times} times`)
    await front.stop()
    await pull()
    await front.start()
  })

  it('go on with what one of them has begun, when that one is killed', async () => {
    const layer = randomBytes(24 * mebibyte)
    const digest = digestOf(layer)
    await source.pushImage('team/killed', '1', layer)
    const blob = gatedBlob(digest, layer, 16 * mebibyte)
    front.answers = blob.answers
    const cut = await open(registry.fleet.replica(0).url, `team/killed/blobs/${digest}`)
    cut.on('error', () => {}).resume()
    await blob.reached
    const waiting = open(registry.fleet.replica(1).url, `team/killed/blobs/${digest}`)
    await registry.fleet.kill(0)
    blob.open()
    assert.ok((await bytesOf(await waiting)).equals(layer))
    // The session of the one who was killed is not waited for: it comes from its beginning, and is kept.
    assert.equal(blob.asked(), 2)
    await registry.fleet.restart(0)
    for (const index of [0, 1])
      assert.ok(
        (await bytesOf(await open(registry.fleet.replica(index).url, `team/killed/blobs/${digest}`))).equals(
          layer,
        ),
      )
    assert.equal(blob.asked(), 2)
  })
})
