/** What the registry asks of the bucket, counted on the way there. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { fleetPartBytes } from '../support/fleet.ts'
import { type Answer, RegistryClient, withQuery } from '../support/registry-client.ts'
import {
  type ReplicatedRegistry,
  skipWithoutReplicas,
  startReplicatedRegistry,
} from '../support/replicated-registry.ts'

/** GiB of the large upload: 5 is what S3 stops copying in one request at, and takes a minute. */
const largeBytes = Number(process.env['VARVE_TEST_LARGE_UPLOAD_GIB'] ?? 0.25) * 1024 ** 3

const locationOf = ({ headers }: Answer) => String(headers['location'])

describe('Requests to S3', { skip: await skipWithoutReplicas() }, () => {
  let registry: ReplicatedRegistry
  let client: RegistryClient
  before(async () => {
    registry = await startReplicatedRegistry({ replicas: 1 })
    client = new RegistryClient(registry.url)
    // It lists what was left behind, once after its start.
    while (!registry.fleet.lines().some(({ message }) => message === 'expired uploads swept'))
      await client.send('GET', '/v2/')
  })
  after(() => registry[Symbol.asyncDispose]())

  /** Those that `work` causes. */
  async function requestsOf(work: () => Promise<unknown>): Promise<unknown> {
    registry.s3.forgetRequests()
    await work()
    return registry.s3.countByOperation()
  }

  const close = async (location: string, digest: Digest, body?: Buffer) => {
    const { status } = await client.send(
      'PUT',
      withQuery(location, 'digest', digest),
      body === undefined ? {} : { body },
    )
    assert.equal(status, 201)
  }
  const patch = async (location: string, body: Buffer | Readable) => {
    const patched = await client.send('PATCH', location, { body })
    assert.equal(patched.status, 202)
    return locationOf(patched)
  }
  const streamed = async (bytes: Buffer) =>
    close(await patch(await client.startUpload('budget/app'), bytes), digestOf(bytes))
  const pushes: Record<string, (bytes: Buffer) => Promise<unknown>> = {
    POST: bytes => client.pushBlob('budget/app', bytes),
    'POST and PUT': async bytes => close(await client.startUpload('budget/app'), digestOf(bytes), bytes),
    'POST, PATCH and PUT': streamed,
    'POST, PATCH without a length and PUT': async bytes =>
      close(await patch(await client.startUpload('budget/app'), Readable.from([bytes])), digestOf(bytes)),
  }

  for (const [how, push] of Object.entries(pushes))
    it(`are one PUT to push a blob of 1 KiB by ${how}`, async () => {
      assert.deepEqual(await requestsOf(() => push(randomBytes(1024))), { PutObject: 1 })
    })

  const range = { headers: { range: 'bytes=10-19' } }

  it('are one GET to pull a blob, whole or in part, and none for one that is not there', async () => {
    const digest = await client.pushBlob('budget/app', randomBytes(100 * 1024))
    const path = `/v2/budget/app/blobs/${digest}`
    assert.deepEqual(await requestsOf(() => client.send('GET', path)), { GetObject: 1 })
    assert.deepEqual(await requestsOf(() => client.send('GET', path, range)), { GetObject: 1 })
    const absent = `/v2/budget/app/blobs/${digestOf(randomBytes(8))}`
    assert.deepEqual(await requestsOf(() => client.send('GET', absent)), {})
  })

  it('are one GET for a small blob, however often it is pulled, and whatever parts of it', async () => {
    const bytes = randomBytes(64 * 1024)
    const path = `/v2/budget/app/blobs/${await client.pushBlob('budget/app', bytes)}`
    const part = async () => {
      const { status, headers, bytes: got } = await client.send('GET', path, range)
      assert.deepEqual([status, headers['content-range']], [206, 'bytes 10-19/65536'])
      assert.deepEqual(got, bytes.subarray(10, 20))
    }
    const whole = async () => assert.ok((await client.send('GET', path)).bytes.equals(bytes))
    assert.deepEqual(await requestsOf(part), { GetObject: 1 })
    const again = async () => {
      await whole()
      await part()
      await whole()
    }
    assert.deepEqual(await requestsOf(again), {})
  })

  it('are none for all that is no blob, and to see whether a blob is there', async () => {
    const layer = randomBytes(1024)
    const digest = await client.pushImage('budget/app', 'latest', layer)
    const elsewhere = `mount=${digestOf(layer)}&from=budget%2Fapp`
    for (const [method, path, status] of [
      ['HEAD', `/v2/budget/app/blobs/${digestOf(layer)}`, 200],
      ['HEAD', `/v2/budget/app/blobs/${digestOf(randomBytes(8))}`, 404],
      ['GET', '/v2/budget/app/manifests/latest', 200],
      ['HEAD', '/v2/budget/app/manifests/latest', 200],
      ['GET', `/v2/budget/app/manifests/${digest}`, 200],
      ['GET', '/v2/budget/app/tags/list', 200],
      ['GET', '/v2/_catalog', 200],
      ['GET', `/v2/budget/app/referrers/${digest}`, 200],
      ['POST', `/v2/budget/other/blobs/uploads/?${elsewhere}`, 201],
      ['POST', '/v2/budget/app/blobs/uploads/', 202],
      ['DELETE', '/v2/budget/app/manifests/latest', 202],
      ['DELETE', `/v2/budget/app/manifests/${digest}`, 202],
      ['DELETE', `/v2/budget/app/blobs/${digestOf(layer)}`, 202],
      ['GET', '/v2/', 200],
    ] as const) {
      const requests = await requestsOf(async () =>
        assert.equal((await client.send(method, path)).status, status, `${method} ${path}`),
      )
      assert.deepEqual(requests, {}, `${method} ${path}`)
    }
  })

  it(`are one per part and two more for an upload of ${largeBytes / 1024 ** 3} GiB, and no copy`, async context => {
    const parts = Math.floor(largeBytes / fleetPartBytes)
    const hash = createHash('sha256')
    let location = await client.startUpload('budget/large')
    const sent = await requestsOf(async () => {
      location = await patch(location, Readable.from(noise(parts, hash)))
    })
    assert.deepEqual(sent, { CreateMultipartUpload: 1, UploadPart: parts })
    const digest = `sha256:${hash.digest('hex')}` as Digest
    const startedAt = performance.now()
    const committed = await requestsOf(() => close(location, digest))
    context.diagnostic(`${parts} parts; committed in ${Math.round(performance.now() - startedAt)} ms`)
    assert.deepEqual(committed, { CompleteMultipartUpload: 1 })
    assert.equal((await client.send('HEAD', `/v2/budget/large/blobs/${digest}`)).status, 200)
  })

  it('are three more when the last part of a large upload is a short one', async () => {
    const bytes = randomBytes(2 * fleetPartBytes + 1)
    const requests = await requestsOf(() => streamed(bytes))
    assert.deepEqual(requests, {
      CreateMultipartUpload: 1,
      UploadPart: 3,
      CompleteMultipartUpload: 1,
      // Kept beside the parts, so that whoever continues the upload can read it.
      PutObject: 1,
      GetObject: 1,
      DeleteObject: 1,
    })
  })
})

/** Parts of the same noise, each with its number first. */
function* noise(parts: number, hash: ReturnType<typeof createHash>): Generator<Buffer> {
  const same = randomBytes(fleetPartBytes)
  for (let part = 0; part < parts; part += 1) {
    const bytes = Buffer.from(same)
    bytes.writeUInt32BE(part)
    hash.update(bytes)
    yield bytes
  }
}
