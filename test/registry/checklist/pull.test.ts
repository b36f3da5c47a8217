import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { request } from 'undici'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { parseMultipart } from '../../support/multipart.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { serveStub } from '../../support/stub-registry.ts'

const bytes = randomBytes(2048)
const digest = digestOf(bytes)
const empty = digestOf(Buffer.alloc(0))
const blob = (of: string) => `/v2/pull/blobs/${of}`
const manifest = (of: string) => `/v2/pull/manifests/${of}`

let registry: TestRegistry
let client: RegistryClient
let image: string
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  await client.pushBlob('pull', Buffer.alloc(0))
  image = await client.pushImage('pull', 'latest', bytes)
})
after(() => registry.stop())

describe('checklist: Pull', () => {
  it('HEAD = GET headers incl. Content-Length 0 for the empty blob', async () => {
    for (const path of [blob(digest), blob(empty), manifest('latest'), manifest(image)]) {
      const [get, head] = [await client.send('GET', path), await client.send('HEAD', path)]
      const [ofGet, ofHead] = [lasting(get.headers), lasting(head.headers)]
      assert.deepEqual([head.status, ofHead, head.bytes.length], [200, ofGet, 0], path)
      assert.equal(head.headers['content-length'], String(get.bytes.length))
    }
  })

  it('Content-Type without charset', async () => {
    for (const [path, type] of [
      [blob(digest), 'application/octet-stream'],
      [manifest('latest'), mediaTypes.ociManifest],
      [`/v2/pull/referrers/${image}`, mediaTypes.ociIndex],
      ['/v2/pull/tags/list', 'application/json'],
      ['/v2/_catalog', 'application/json'],
      ['/v2/', 'application/json'],
      [manifest('absent'), 'application/json'],
    ] as const)
      assert.equal((await client.send('GET', path)).headers['content-type'], type, path)
  })

  it('no Accept, */*, repeated Accept lines all give the stored manifest', async () => {
    const stored = (await client.send('GET', manifest('latest'))).bytes.toString()
    for (const lines of [
      [],
      ['*/*'],
      [mediaTypes.dockerManifest, mediaTypes.dockerManifestList],
      ['text/html, application/json;q=0.1'],
    ]) {
      const raw = await connectRaw(registry.url)
      const accept = lines.map(line => `Accept: ${line}\r\n`).join('')
      raw.socket.write(`GET ${manifest('latest')} HTTP/1.1\r\nHost: x\r\n${accept}Connection: close\r\n\r\n`)
      const text = await raw.ended()
      assert.match(text, /^HTTP\/1.1 200 /)
      assert.match(text, new RegExp(`\r\nContent-Type: ${mediaTypes.ociManifest.replace('+', '\\+')}\r\n`))
      assert.ok(text.endsWith(stored))
    }
  })

  it('If-None-Match quoted/unquoted → 304', async () => {
    for (const [path, of] of [
      [blob(digest), digest],
      [manifest('latest'), image],
      [manifest(image), image],
    ] as const)
      for (const method of ['GET', 'HEAD'])
        for (const tag of [`"${of}"`, of, `W/"${of}"`, `"x", "${of}"`, '*']) {
          const answer = await client.send(method, path, { headers: { 'if-none-match': tag } })
          assert.deepEqual([answer.status, answer.bytes.length], [304, 0], `${method} ${path} ${tag}`)
          assert.equal(answer.headers['docker-content-digest'], of)
        }
  })

  it('ranges: closed, open, suffix, past end, reversed', async () => {
    for (const [range, status, contentRange] of [
      ['bytes=500-1499', 206, 'bytes 500-1499/2048'],
      ['bytes=500-', 206, 'bytes 500-2047/2048'],
      ['bytes=-500', 206, 'bytes 1548-2047/2048'],
      ['bytes=2000-5000', 206, 'bytes 2000-2047/2048'],
      ['bytes=500-0', 416, 'bytes */2048'],
      ['bytes=5000-10000', 416, 'bytes */2048'],
    ] as const) {
      const answer = await client.send('GET', blob(digest), { headers: { range } })
      assert.deepEqual([answer.status, answer.headers['content-range']], [status, contentRange], range)
      const [, first, last] = /(\d+)-(\d+)/.exec(contentRange) ?? []
      if (status === 206) assert.deepEqual(answer.bytes, bytes.subarray(Number(first), Number(last) + 1))
      else assert.deepEqual(answer.codes, ['RANGE_INVALID'])
    }
    assert.equal((await client.send('GET', blob(empty), { headers: { range: 'bytes=0-' } })).status, 416)
  })

  it('ranges: multi', async () => {
    const headers = { range: 'bytes=2000-5000, 0-0,100-1999,0-9,-1' }
    const answer = await client.send('GET', blob(digest), { headers })
    assert.equal(answer.status, 206)
    assert.equal(answer.headers['content-length'], String(answer.bytes.length))
    assert.equal(answer.headers['content-range'], undefined)
    assert.equal(answer.headers['docker-content-digest'], digest)
    assert.deepEqual(
      parseMultipart(answer.headers['content-type'], answer.bytes),
      [
        [2000, 2047],
        [0, 0],
        [100, 1999],
        [0, 9],
        [2047, 2047],
      ].map(([first = 0, last = 0]) => ({
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `bytes ${first}-${last}/2048`,
        },
        bytes: bytes.subarray(first, last + 1),
      })),
    )
  })

  it('ranges: more than 16 at once give the whole blob', async () => {
    const range = (count: number) => `bytes=${Array.from({ length: count }, (_, at) => `${at}-${at}`).join()}`
    const sixteen = await client.send('GET', blob(digest), { headers: { range: range(16) } })
    assert.equal(parseMultipart(sixteen.headers['content-type'], sixteen.bytes).length, 16)
    const whole = await client.send('GET', blob(digest), { headers: { range: range(17) } })
    assert.deepEqual([whole.status, whole.bytes], [200, bytes])
  })

  it('ranges: If-Range of other content, a weak tag or a date give the whole blob', async () => {
    for (const [tag, status] of [
      [`"${digest}"`, 206],
      [`W/"${digest}"`, 200],
      [`"${empty}"`, 200],
      ['Sat, 29 Oct 1994 19:43:31 GMT', 200],
    ] as const)
      for (const also of [{}, { 'if-none-match': '"other"' }]) {
        const headers = { range: 'bytes=0-9', 'if-range': tag, ...also }
        assert.equal((await client.send('GET', blob(digest), { headers })).status, status, tag)
      }
  })

  it('206 has Content-Length', async () => {
    const { statusCode, headers, body } = await request(registry.url + blob(digest), {
      headers: { range: 'bytes=0-99' },
    })
    await body.dump()
    assert.deepEqual([statusCode, headers['content-length']], [206, '100'])
  })

  it('blob of another repo → 404', async () => {
    for (const method of ['GET', 'HEAD'])
      assert.equal((await client.send(method, `/v2/elsewhere/blobs/${digest}`)).status, 404)
    const { codes } = await client.send('GET', `/v2/elsewhere/blobs/${digest}`)
    assert.deepEqual(codes, ['BLOB_UNKNOWN'])
  })

  it('stream error mid-body closes the socket', async () => {
    let opened = 0
    await using stub = await serveStub({
      stat: async () => ({ digest, size: 2048 }),
      open: async () => ({ digest, size: 2048, stream: Readable.from(brokenOff(++opened === 1 ? 10 : 5)) }),
    })
    for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=0-9,20-29' }]) {
      const { statusCode, body } = await request(`${stub.url}/v2/a/blobs/${digest}`, { headers })
      assert.ok(statusCode < 300)
      await assert.rejects(body.bytes())
    }
  })
})

/** Headers that are of the content, not of this one answer or its connection. */
function lasting(headers: Record<string, string | undefined>): Record<string, string | undefined> {
  const passing = new Set(['date', 'x-request-id', 'connection', 'keep-alive'])
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !passing.has(name)))
}

function* brokenOff(length: number): Generator<Buffer> {
  yield Buffer.alloc(length)
  throw new Error('the disk is on fire')
}
