import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { manifestOf, RegistryClient } from '../support/registry-client.ts'

const bytes = randomBytes(10_000)
const digest = digestOf(bytes)
const emptyDigest = digestOf(Buffer.alloc(0))
const absent = digestOf(Buffer.from('absent'))

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  await client.pushBlob('a/b', bytes)
  await client.pushBlob('a/b', Buffer.alloc(0))
})
after(() => registry.stop())

const blob = (of: string) => `/v2/a/b/blobs/${of}`

describe('pulling a blob', () => {
  it('gives its bytes, with all the headers that clients ask for', async () => {
    const { status, headers, bytes: got } = await client.send('GET', blob(digest))
    assert.equal(status, 200)
    assert.deepEqual(got, bytes)
    assert.equal(headers['content-length'], '10000')
    assert.equal(headers['content-type'], 'application/octet-stream')
    assert.equal(headers['docker-content-digest'], digest)
    assert.equal(headers['etag'], `"${digest}"`)
    assert.equal(headers['accept-ranges'], 'bytes')
    assert.equal(headers['content-encoding'], undefined)
  })

  for (const [what, of] of [
    ['a blob', digest],
    ['the empty blob', emptyDigest],
  ] as const)
    it(`HEAD of ${what} has the headers of GET`, async () => {
      const get = await client.send('GET', blob(of))
      const head = await client.send('HEAD', blob(of))
      assert.equal(head.bytes.length, 0)
      for (const name of ['content-length', 'content-type', 'docker-content-digest', 'etag', 'accept-ranges'])
        assert.equal(head.headers[name], get.headers[name], name)
      assert.equal(head.headers['content-length'], String(get.bytes.length))
    })

  for (const [range, status, contentRange, from, to] of [
    ['bytes=0-0', 206, 'bytes 0-0/10000', 0, 1],
    ['bytes=9000-', 206, 'bytes 9000-9999/10000', 9000, 10_000],
    ['bytes=-10', 206, 'bytes 9990-9999/10000', 9990, 10_000],
    ['bytes=100-20000', 206, 'bytes 100-9999/10000', 100, 10_000],
    ['bytes=0-1,20000-', 206, 'bytes 0-1/10000', 0, 2],
    ['lines=1-2', 200, undefined, 0, 10_000],
    ['bytes=10000-', 416, 'bytes */10000', 0, 0],
    ['bytes=500-0', 416, 'bytes */10000', 0, 0],
  ] as const)
    it(`${range} is ${status}`, async () => {
      const answer = await client.send('GET', blob(digest), { headers: { range } })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['content-range'], contentRange)
      if (status === 416) return assert.deepEqual(answer.codes, ['RANGE_INVALID'])
      assert.equal(answer.headers['content-length'], String(to - from))
      assert.equal(answer.headers['docker-content-digest'], digest)
      assert.deepEqual(answer.bytes, bytes.subarray(from, to))
    })

  it('an If-Range of other content gives the whole blob', async () => {
    const headers = { range: 'bytes=0-9', 'if-range': `"${absent}"` }
    assert.equal((await client.send('GET', blob(digest), { headers })).status, 200)
    const same = { range: 'bytes=0-9', 'if-range': `"${digest}"` }
    assert.equal((await client.send('GET', blob(digest), { headers: same })).status, 206)
  })

  it('that the client has is 304, to GET and HEAD', async () => {
    for (const method of ['GET', 'HEAD'])
      for (const tag of [`"${digest}"`, digest, `W/"${digest}", "x"`]) {
        const answer = await client.send(method, blob(digest), { headers: { 'if-none-match': tag } })
        assert.equal(answer.status, 304, `${method} ${tag}`)
        assert.equal(answer.headers['etag'], `"${digest}"`)
        assert.equal(answer.headers['docker-content-digest'], digest)
      }
  })

  for (const [path, status, code] of [
    [blob(absent), 404, 'BLOB_UNKNOWN'],
    [`/v2/other/blobs/${digest}`, 404, 'BLOB_UNKNOWN'],
    [blob('sha256:baddigest'), 400, 'DIGEST_INVALID'],
    [blob('md5:d41d8cd98f00b204e9800998ecf8427e'), 400, 'DIGEST_INVALID'],
    [blob(digest.toUpperCase().replace('SHA256', 'sha256')), 400, 'DIGEST_INVALID'],
    [`/v2/A/blobs/${digest}`, 400, 'NAME_INVALID'],
  ] as const)
    it(`${path.slice(0, 40)} is ${status} ${code}`, async () => {
      for (const headers of [{}, { range: 'bytes=0-1' }]) {
        const answer = await client.send('GET', path, { headers })
        assert.deepEqual([answer.status, answer.codes], [status, [code]])
      }
      assert.equal((await client.send('HEAD', path)).status, status)
    })
})

describe('deleting a blob', () => {
  it('takes it from this repository only', async () => {
    const deleted = await client.pushBlob('delete/one', bytes)
    const answer = await client.send('DELETE', `/v2/delete/one/blobs/${deleted}`)
    assert.deepEqual([answer.status, answer.headers['content-length']], [202, '0'])
    assert.equal((await client.send('HEAD', `/v2/delete/one/blobs/${deleted}`)).status, 404)
    assert.equal((await client.send('HEAD', blob(digest))).status, 200)
    const again = await client.send('DELETE', `/v2/delete/one/blobs/${deleted}`)
    assert.deepEqual([again.status, again.codes], [404, ['BLOB_UNKNOWN']])
    await client.pushBlob('delete/one', bytes)
    assert.equal((await client.send('HEAD', `/v2/delete/one/blobs/${deleted}`)).status, 200)
  })

  it('is refused while a manifest names it', async () => {
    const layer = await client.pushBlob('delete/used', bytes)
    const config = await client.pushBlob('delete/used', Buffer.from('{}'))
    await client.putManifest('delete/used', 'x', manifestOf(Buffer.from('{}'), [bytes]))
    for (const used of [layer, config]) {
      const answer = await client.send('DELETE', `/v2/delete/used/blobs/${used}`)
      assert.deepEqual([answer.status, answer.codes], [405, ['DENIED']])
    }
  })
})
