import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { DomainError } from '../../src/errors.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { connectRaw } from '../support/raw-http.ts'
import { serveStub } from '../support/stub-registry.ts'

const digest = digestOf(Buffer.from('content'))

describe('every answer', () => {
  it('has the common headers, whatever it says', async () => {
    await using registry = await serveStub()
    for (const path of ['/v2/', '/v2', '/livez', '/nowhere', '/v2/UPPER/tags/list', '/v2/a/tags/list']) {
      const { headers, body } = await request(registry.url + path)
      await body.dump()
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0', path)
      assert.equal(headers['x-content-type-options'], 'nosniff', path)
      assert.equal(headers['content-type'], 'application/json', path)
      assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/, path)
    }
  })

  it('repeats a sane X-Request-Id and replaces any other', async () => {
    await using registry = await serveStub()
    for (const [given, kept] of [
      ['trace-1.a_B', true],
      ['x'.repeat(65), false],
      ['a b', false],
      ['a"b', false],
    ] as const) {
      const { headers, body } = await request(`${registry.url}/v2/`, { headers: { 'x-request-id': given } })
      await body.dump()
      assert.equal(headers['x-request-id'] === given, kept, given)
    }
  })

  it('to HEAD is that to GET without the body, errors too', async () => {
    await using registry = await serveStub()
    for (const path of ['/v2/', '/nowhere', '/v2/UPPER/tags/list']) {
      const get = await request(registry.url + path)
      const text = await get.body.text()
      const head = await request(registry.url + path, { method: 'HEAD' })
      assert.equal(await head.body.text(), '')
      assert.equal(head.statusCode, get.statusCode)
      assert.equal(head.headers['content-length'], String(text.length))
      assert.equal(head.headers['content-type'], get.headers['content-type'])
    }
  })
})

describe('methods and paths that are not there', () => {
  it('are refused in JSON, with Allow', async () => {
    await using registry = await serveStub()
    for (const [method, path, status, allow] of [
      ['PUT', '/v2/', 405, 'GET, HEAD'],
      ['POST', '/v2/a/manifests/x', 405, 'DELETE, GET, HEAD, PUT'],
      ['PROPFIND', '/v2/a/manifests/x', 405, 'DELETE, GET, HEAD, PUT'],
      ['DELETE', '/v2/a/blobs/uploads/', 405, 'POST'],
      ['GET', '/v2/a/blobs/uploads', 405, 'POST'],
      ['POST', '/v2/a/blobs/uploads/1', 405, 'DELETE, GET, PATCH, PUT'],
      ['OPTIONS', '/v2/a/tags/list', 405, 'GET, HEAD'],
      ['POST', '/v2/a/referrers/x', 405, 'GET, HEAD'],
      ['GET', '/v2/a/signatures/x', 404, undefined],
      ['GET', '/', 404, undefined],
    ] as const) {
      const { statusCode, headers, body } = await request(registry.url + path, { method: method as 'GET' })
      assert.deepEqual([statusCode, headers['allow']], [status, allow], `${method} ${path}`)
      const { errors } = (await body.json()) as { errors: { code: string }[] }
      assert.equal(errors[0]?.code, 'UNSUPPORTED', `${method} ${path}`)
    }
  })

  it('names that are no names', async () => {
    await using registry = await serveStub()
    for (const path of [
      '/v2/a//b/tags/list',
      '/v2/a/../b/tags/list',
      '/v2/a%2f..%2fb/tags/list',
      '/v2/a%00/tags/list',
      '/v2/A/tags/list',
      '/v2/a%252Fb/tags/list',
      '/v2/%zz/tags/list',
      `/v2/${'a'.repeat(256)}/tags/list`,
    ]) {
      const raw = await connectRaw(registry.url)
      raw.socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      const text = await raw.ended()
      assert.match(text, /^HTTP\/1.1 400 /, path)
      assert.match(text, /NAME_INVALID/, path)
    }
  })

  it('targets in absolute form, and such that are none', async () => {
    await using registry = await serveStub()
    for (const [target, status] of [
      ['http://elsewhere/v2/', 200],
      ['*', 404],
      ['http://[/', 404],
      ['//v2/', 404],
      ['/v2/?%', 200],
    ] as const) {
      const raw = await connectRaw(registry.url)
      raw.socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      assert.match(await raw.ended(), new RegExp(`^HTTP/1.1 ${status} `), target)
    }
  })
})

describe('failures of ours', () => {
  it('are 500 without details, and logged with the request id', async () => {
    await using registry = await serveStub({
      listTags: () => Promise.reject(new Error('/var/lib/secret is broken')),
    })
    const { statusCode, headers, body } = await request(`${registry.url}/v2/a/tags/list`, {
      headers: { 'x-request-id': 'find-me' },
    })
    const text = await body.text()
    assert.equal(statusCode, 500)
    assert.ok(!text.includes('secret') && !text.includes('Error'), text)
    assert.equal(headers['x-request-id'], 'find-me')
    assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
    const line = await registry.kept.find(({ level }) => level === 'error')
    assert.equal(line['requestId'], 'find-me')
    assert.match(JSON.stringify(line['error']), /secret is broken/)
  })

  it('are 503 with Retry-After when a service does not answer', async () => {
    const unavailable = new DomainError('unavailable', 'db1.internal: refused', { resource: 'repository' })
    await using registry = await serveStub({ ping: () => Promise.reject(unavailable) })
    const { statusCode, headers, body } = await request(`${registry.url}/readyz`)
    assert.deepEqual([statusCode, headers['retry-after']], [503, '5'])
    assert.ok(!(await body.text()).includes('internal'))
  })

  it('in the middle of a body show as a short body', async () => {
    await using registry = await serveStub({
      open: async () => ({
        digest,
        size: 100,
        stream: Readable.from(
          (function* () {
            yield Buffer.alloc(10)
            throw new Error('disk on fire')
          })(),
        ),
      }),
    })
    const { statusCode, headers, body } = await request(`${registry.url}/v2/a/blobs/${digest}`)
    assert.deepEqual([statusCode, headers['content-length']], [200, '100'])
    await assert.rejects(body.bytes())
    assert.equal((await registry.kept.find(({ level }) => level === 'error'))['operation'], 'blob.get')
  })
})

describe('access log', () => {
  it('has one line for each request, with what operators ask for', async () => {
    await using registry = await serveStub({ putManifest: async () => {} })
    const manifest = JSON.stringify({ schemaVersion: 2, manifests: [] })
    const answer = await request(`${registry.url}/v2/a/b/manifests/x`, {
      method: 'PUT',
      body: manifest,
      headers: { 'user-agent': 'test/1' },
    })
    await answer.body.dump()
    assert.equal(answer.statusCode, 201)
    const { requestId, durationMs, time, ...line } = await registry.kept.find(
      ({ message }) => message === 'request',
    )
    assert.deepEqual(line, {
      level: 'info',
      method: 'PUT',
      path: '/v2/a/b/manifests/x',
      operation: 'manifest.put',
      route: '/v2/*name/manifests/:reference',
      repository: 'a/b',
      reference: 'x',
      status: 201,
      bytesIn: manifest.length,
      bytesOut: 0,
      client: '127.0.0.1',
      userAgent: 'test/1',
      message: 'request',
    })
    assert.equal(requestId, answer.headers['x-request-id'])
    assert.ok(Number(durationMs) >= 0 && typeof time === 'string')
  })

  it('has the bytes of the body that was sent, whatever the method', async () => {
    await using registry = await serveStub({ listTags: async () => ['x'] })
    const body = await (await request(`${registry.url}/v2/a/tags/list`)).body.text()
    await (await request(`${registry.url}/v2/a/tags/list`, { method: 'HEAD' })).body.dump()
    const of = (method: string) => registry.kept.find(line => line['method'] === method)
    assert.deepEqual([(await of('GET'))['bytesOut'], (await of('HEAD'))['bytesOut']], [body.length, 0])
  })

  it('has the code of an error', async () => {
    await using registry = await serveStub()
    await (await request(`${registry.url}/v2/A/tags/list`)).body.dump()
    const line = await registry.kept.find(({ status }) => status === 400)
    assert.equal(line['errorCode'], 'NAME_INVALID')
  })

  it('never holds credentials', async () => {
    await using registry = await serveStub()
    const headers = { authorization: 'Basic czNjcmV0', cookie: 'czNjcmV0' }
    for (const path of ['/v2/?token=czNjcmV0', '/v2/a/tags/list?token=czNjcmV0'])
      await (await request(registry.url + path, { headers })).body.dump()
    await registry.kept.find(({ status }) => status === 500)
    assert.ok(!registry.kept.text().includes('czNjcmV0'))
  })
})
