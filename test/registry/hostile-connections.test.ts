import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { addressRanges } from '../../src/storage/address-ranges.ts'
import { connectRaw } from '../support/raw-http.ts'
import { serveStub } from '../support/stub-registry.ts'

const crlf = (...lines: readonly string[]) => `${lines.join('\r\n')}\r\n`
const digest = `sha256:${'0'.repeat(64)}`

/** A blob store whose writer does with the body what a test says. */
const writing = (write: (body: Readable) => Promise<unknown>) => ({
  create: async () => ({
    write,
    commit: async () => ({ digest, size: 0 }),
    cancel: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }),
})

describe('What is not HTTP', () => {
  for (const [what, bytes, status] of [
    ['a line that is no request', 'HELLO\r\n\r\n', 400],
    ['a header without a colon', crlf('GET /v2/ HTTP/1.1', 'Host: x', 'nonsense', ''), 400],
    ['two lengths', crlf('PUT /v2/ HTTP/1.1', 'Host: x', 'Content-Length: 1', 'Content-Length: 2', ''), 400],
    [
      'a length and chunks',
      crlf('PUT /v2/ HTTP/1.1', 'Host: x', 'Content-Length: 1', 'Transfer-Encoding: chunked', ''),
      400,
    ],
    ['headers without end', `GET /v2/ HTTP/1.1\r\nX: ${'x'.repeat(70_000)}`, 431],
  ] as const)
    it(`gets a JSON error and the end of the connection, and is logged: ${what}`, async () => {
      await using registry = await serveStub()
      const raw = await connectRaw(registry.url)
      raw.socket.write(bytes)
      const text = await raw.ended()
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `))
      const [head = '', body = ''] = text.split('\r\n\r\n')
      assert.match(head, /\r\nConnection: close/)
      assert.match(head, new RegExp(`\r\nContent-Length: ${body.length}\r\n`))
      assert.equal(JSON.parse(body).errors[0].code, 'UNSUPPORTED')
      const line = await registry.kept.find(({ message }) => message === 'malformed request')
      assert.deepEqual([line['status'], line['peer']], [status, '127.0.0.1'])
    })

  it('in a body ends the request, and no second answer goes out', async () => {
    let failure: unknown
    await using registry = await serveStub(
      writing(body =>
        body.toArray().catch((error: unknown) => {
          failure = error
          throw error
        }),
      ),
    )
    const raw = await connectRaw(registry.url)
    const path = `/v2/a/blobs/uploads/?digest=${digest}`
    raw.socket.write(crlf(`POST ${path} HTTP/1.1`, 'Host: x', 'Transfer-Encoding: chunked', ''))
    raw.socket.write('zz\r\n')
    assert.match(await raw.ended(), /^HTTP\/1.1 400 (?![\s\S]*HTTP\/1.1)/)
    await registry.kept.find(({ message }) => message === 'request')
    assert.equal((failure as Error).name, 'AbortError')
  })
})

describe('A client that is slow on purpose', () => {
  it('is cut when its headers do not come to an end', async () => {
    await using registry = await serveStub({}, { timeouts: { headersMs: 40 } })
    const raw = await connectRaw(registry.url)
    const trickle = setInterval(() => raw.socket.write('X-A: b\r\n'), 10)
    raw.socket.write('GET /v2/ HTTP/1.1\r\n')
    assert.match(await raw.ended(), /^(HTTP\/1.1 408 |$)/)
    clearInterval(trickle)
  })

  it('is cut when its body trickles, and that is logged with its request id', async () => {
    await using registry = await serveStub(
      writing(body => body.toArray()),
      { bodyPace: { minBytesPerSecond: 1000, windowMs: 40 } },
    )
    const raw = await connectRaw(registry.url)
    const path = `/v2/a/blobs/uploads/?digest=${digest}`
    raw.socket.write(
      crlf(`POST ${path} HTTP/1.1`, 'Host: x', 'Content-Length: 100000', 'X-Request-Id: slow', ''),
    )
    const trickle = setInterval(() => raw.socket.write('x'), 10)
    assert.equal(await raw.ended(), '')
    clearInterval(trickle)
    const line = await registry.kept.find(({ message }) => String(message).startsWith('connection cut'))
    assert.equal(line['requestId'], 'slow')
  })

  it('is not mistaken for one whose body we do not read', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    await using registry = await serveStub(
      writing(async body => {
        await gate
        return body.toArray()
      }),
      { bodyPace: { minBytesPerSecond: 1000, windowMs: 1000 }, timeouts: { idleMs: 1000 } },
    )
    const answer = request(`${registry.url}/v2/a/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: Buffer.alloc(200_000),
    })
    // Windows and idle times in which nothing moves because nobody reads.
    setTimeout(open, 2500)
    const { statusCode, body } = await answer
    await body.dump()
    assert.equal(statusCode, 201)
  })
})

describe('Addresses of clients', () => {
  it('are taken from the headers of trusted proxies only', async () => {
    for (const [cidrs, client] of [
      [[], '127.0.0.1'],
      [['127.0.0.0/8'], '198.51.100.4'],
    ] as const) {
      await using registry = await serveStub({}, { trustedProxies: addressRanges(cidrs) })
      const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.4' }
      await (await request(`${registry.url}/v2/`, { headers })).body.dump()
      const line = await registry.kept.find(({ message }) => message === 'request')
      assert.equal(line['client'], client)
    }
  })
})
