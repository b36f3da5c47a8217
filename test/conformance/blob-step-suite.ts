import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { type Answer, type RegistryClient, withQuery } from '../support/registry-client.ts'
import { clientOf, type RegistryUnderTest } from './registry-under-test.ts'
import { sendUnsized } from './unsized-body.ts'

const repository = 'blob/steps'
const source = 'blob/source'
const uploads = (name: string) => `/v2/${name}/blobs/uploads/`
const blob = (name: string, digest: Digest) => `/v2/${name}/blobs/${digest}`
const chunkSize = 1024

/**
 * What the newest OCI conformance program asks of blobs, for each digest algorithm and never with
 * `digest-algorithm`. Like data-set-suite.ts it stands in for that program, and proves less.
 */
export function blobStepSuite(open: () => Promise<RegistryUnderTest>): void {
  let registry: RegistryUnderTest
  let client: RegistryClient
  const opening = async () => {
    registry = await open()
    client = clientOf(registry)
  }

  const start = () => client.startUpload(repository)
  const locationOf = ({ headers }: Pick<Answer, 'headers'>) => String(headers['location'])
  const unsized = async (method: string, path: string, body: Buffer) =>
    sendUnsized(registry.url + path, method, body, await registry.account?.authorize(method, path))
  const close = (location: string, digest: Digest) =>
    client.send('PUT', withQuery(location, 'digest', digest))

  function chunkOf(bytes: Buffer, first: number) {
    const body = bytes.subarray(first, first + chunkSize)
    return { headers: { 'content-range': `${first}-${first + body.length - 1}` }, body }
  }

  async function inChunks(bytes: Buffer): Promise<string> {
    let location = await start()
    for (let first = 0; first < bytes.length; first += chunkSize) {
      const patched = await client.send('PATCH', location, chunkOf(bytes, first))
      assert.equal(patched.status, 202)
      location = locationOf(patched)
    }
    return location
  }

  /** Each answers the request that ends the push. */
  const methods: Record<
    string,
    (bytes: Buffer, digest: Digest) => Promise<Pick<Answer, 'status' | 'headers'>>
  > = {
    'one POST': (bytes, digest) =>
      client.send('POST', withQuery(uploads(repository), 'digest', digest), { body: bytes }),
    'one POST of unknown length': (bytes, digest) =>
      unsized('POST', withQuery(uploads(repository), 'digest', digest), bytes),
    'POST and PUT': async (bytes, digest) =>
      client.send('PUT', withQuery(await start(), 'digest', digest), { body: bytes }),
    'POST and PUT of unknown length': async (bytes, digest) =>
      unsized('PUT', withQuery(await start(), 'digest', digest), bytes),
    stream: async (bytes, digest) => {
      const patched = await unsized('PATCH', await start(), bytes)
      assert.equal(patched.status, 202)
      return close(locationOf(patched), digest)
    },
    chunks: async (bytes, digest) => close(await inChunks(bytes), digest),
  }

  /** Everything that may be asked of a blob that is there, and that it is gone at once. */
  async function assertUsable(location: string, bytes: Buffer, digest: Digest): Promise<void> {
    assert.deepEqual((await client.send('GET', location)).bytes, bytes)
    for (const method of ['HEAD', 'GET']) {
      const { status, headers } = await client.send(method, blob(repository, digest))
      assert.deepEqual([status, headers['content-length']], [200, String(bytes.length)], method)
      assert.equal(headers['docker-content-digest'], digest)
    }
    await assertDeleted(repository, digest)
  }

  async function assertDeleted(name: string, digest: Digest): Promise<void> {
    assert.equal((await client.send('DELETE', blob(name, digest))).status, 202)
    assert.equal((await client.send('HEAD', blob(name, digest))).status, 404)
  }

  for (const algorithm of ['sha256', 'sha512'] as const)
    describe(`blob steps: ${algorithm}`, () => {
      before(opening)
      after(() => registry[Symbol.asyncDispose]())

      for (const [method, push] of Object.entries(methods))
        for (const [what, size] of [
          ['an empty blob', 0],
          ['{}', 2],
          ['a small blob', 512],
          ['three chunks, the last one short', 3 * chunkSize - 5],
        ] as const)
          it(`${what} by ${method}`, async () => {
            const bytes = size === 2 ? Buffer.from('{}') : randomBytes(size)
            const digest = digestOf(bytes, algorithm)
            const pushed = await push(bytes, digest)
            assert.deepEqual([pushed.status, pushed.headers['docker-content-digest']], [201, digest])
            await assertUsable(locationOf(pushed), bytes, digest)
          })

      for (const [method, push] of Object.entries(methods))
        it(`bytes of another digest by ${method} are refused and leave nothing`, async () => {
          const bytes = randomBytes(3 * chunkSize)
          const digest = digestOf(bytes, algorithm)
          assert.equal((await push(Buffer.concat([bytes, Buffer.from('more')]), digest)).status, 400)
          assert.equal((await client.send('HEAD', blob(repository, digest))).status, 404)
        })

      for (const from of [source, undefined])
        it(`mount ${from === undefined ? 'from anywhere' : 'from a repository'}, then of what is gone`, async () => {
          const bytes = randomBytes(512)
          const digest = digestOf(bytes, algorithm)
          const query = from === undefined ? '' : `&from=${encodeURIComponent(from)}`
          const path = `${uploads(repository)}?mount=${encodeURIComponent(digest)}${query}`
          await client.send('POST', withQuery(uploads(source), 'digest', digest), { body: bytes })
          const mounted = await client.send('POST', path)
          assert.deepEqual([mounted.status, mounted.headers['docker-content-digest']], [201, digest])
          await assertUsable(locationOf(mounted), bytes, digest)
          await assertDeleted(source, digest)
          const missing = await client.send('POST', path)
          assert.equal(missing.status, 202)
          const put = await client.send('PUT', withQuery(locationOf(missing), 'digest', digest), {
            body: bytes,
          })
          assert.equal(put.status, 201)
          await assertUsable(locationOf(put), bytes, digest)
        })

      for (const lastBy of ['PATCH', 'PUT'] as const)
        it(`a wrong chunk before each right one, the last by ${lastBy}`, async () => {
          const bytes = randomBytes(3 * chunkSize - 5)
          const digest = digestOf(bytes, algorithm)
          let location = await start()
          let answer: Answer | undefined
          for (let first = 0; first < bytes.length; first += chunkSize) {
            const ahead = first + chunkSize < bytes.length ? first + chunkSize : 0
            const end = (at: number) => lastBy === 'PUT' && at + chunkSize >= bytes.length
            const put = (path: string) => withQuery(path, 'digest', digest)
            // Where the session stands is asked at the address that was refused, whatever its query says.
            const refusedAt = end(ahead) ? put(location) : location
            const refused = await client.send(end(ahead) ? 'PUT' : 'PATCH', refusedAt, chunkOf(bytes, ahead))
            assert.deepEqual([refused.status, refused.codes], [416, ['RANGE_INVALID']])
            const status = await client.send('GET', refusedAt)
            assert.deepEqual([status.status, status.headers['range']], [204, `0-${Math.max(first - 1, 0)}`])
            const at = locationOf(status)
            answer = await client.send(
              end(first) ? 'PUT' : 'PATCH',
              end(first) ? put(at) : at,
              chunkOf(bytes, first),
            )
            assert.equal(answer.status, end(first) ? 201 : 202)
            location = locationOf(answer)
          }
          if (lastBy === 'PATCH') answer = await close(location, digest)
          assert.equal(answer?.status, 201)
          await assertUsable(String(answer?.headers['location']), bytes, digest)
        })
    })
}
