/** Many who pull the same image at once, before any of it is here. */
import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { after, afterEach, beforeEach, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { type GatedBlob, gatedBlob } from '../../support/gated-blob.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const mebibyte = 1024 ** 2
const clients = 64
const layerBytes = 64 * mebibyte
/** Beyond what it needs before the first request. A copy for each client, or one in memory at all, would be more. */
const moreBytes = 160 * mebibyte

describe(`${clients} clients that pull the same cold image of ${layerBytes / mebibyte} MiB at once`, {
  timeout: 300_000,
}, () => {
  const layer = randomFillSync(Buffer.allocUnsafe(layerBytes))
  const digest = digestOf(layer)
  let stack: AsyncDisposableStack
  let front: CountedUpstream
  let manifest: Digest
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const behind = stack.use(await startRegistry())
    manifest = await new RegistryClient(behind.url).pushImage('team/large', '1', layer)
    front = stack.use(await countUpstream(behind.url))
  })
  afterEach(() => stack.disposeAsync())
  after(() => layer.fill(0))

  async function start(workers: number, blob: GatedBlob): Promise<ServedRegistry> {
    front.answers = blob.answers
    const { path } = stack.use(await temporaryDirectory())
    const config = join(path, 'varve.yaml')
    const upstreams = [{ name: 'hub', registry: front.host, prefix: 'hub', tagFreshSeconds: 3600 }]
    // However slow this machine is: nobody gives up and asks for himself.
    const pullThrough = { answerWithinSeconds: 600 }
    await writeFile(config, JSON.stringify({ upstreams, registry: { workers }, pullThrough }))
    return stack.use(await serveRegistry(join(path, 'data'), '--config', config))
  }

  /** On a connection of its own, which may come to any worker. */
  async function open(url: string, path: string): Promise<IncomingMessage> {
    const asked = get(`${url}/v2/hub/team/large/${path}`, {
      agent: false,
      headers: { accept: mediaTypes.ociManifest },
    })
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    assert.equal(answer.statusCode, 200, path)
    return answer
  }

  /** As a client does: by tag, then what the manifest names. The layer's body is to be read. */
  async function pull(url: string): Promise<IncomingMessage> {
    const answer = await open(url, 'manifests/1')
    assert.equal(answer.headers['docker-content-digest'], manifest)
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(answer)).toString()) as {
      readonly config: { readonly digest: string }
    }
    const config = await open(url, `blobs/${body.config.digest}`)
    assert.equal(Buffer.concat(await Array.fromAsync(config)).toString(), '{}')
    return await open(url, `blobs/${digest}`)
  }

  async function assertWhole(answer: IncomingMessage): Promise<void> {
    let position = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      assert.ok(chunk.equals(layer.subarray(position, position + chunk.length)), `from byte ${position} on`)
      position += chunk.length
    }
    assert.equal(position, layer.length)
  }

  it('are all given its first bytes before the upstream has sent its last, and each byte comes once', async () => {
    const blob = gatedBlob(digest, layer, 8 * mebibyte)
    const registry = await start(1, blob)
    const before = await registry.peakBytes()
    const answers = await Promise.all(Array.from({ length: clients }, () => pull(registry.url)))
    await Promise.all(answers.map(answer => once(answer, 'readable')))
    await blob.reached
    assert.equal(blob.sentBytes(), 8 * mebibyte)
    blob.open()
    await Promise.all(answers.map(assertWhole))
    assert.equal(blob.sentBytes(), layer.length)
    assert.equal(blob.asked(), 1)
    assert.deepEqual(
      front
        .take()
        .filter(line => line.startsWith('GET '))
        .map(line => line.replace(/sha256:\w+/, 'DIGEST'))
        .sort(),
      [
        'GET /v2/team/large/blobs/DIGEST',
        'GET /v2/team/large/blobs/DIGEST',
        'GET /v2/team/large/manifests/DIGEST',
      ],
    )
    const more = (await registry.peakBytes()) - before
    console.log(
      `memory: ${Math.round(before / mebibyte)} MiB before, ${Math.round(more / mebibyte)} MiB more`,
    )
    assert.ok(more < moreBytes, `${more} bytes of memory more`)
  })

  it('or a quarter of them are served by two workers, and each byte comes once', async () => {
    const blob = gatedBlob(digest, layer)
    const registry = await start(2, blob)
    const answers = await Promise.all(Array.from({ length: clients / 4 }, () => pull(registry.url)))
    await Promise.all(answers.map(assertWhole))
    assert.equal(blob.sentBytes(), layer.length)
    assert.equal(blob.asked(), 1)
  })
})
