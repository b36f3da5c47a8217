/** Clients that mean harm, or know no better: each is answered, and the agent goes on. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { serveAgent, type SocketServer } from '../../../src/importer/agent/agent-server.ts'
import { defaultListenerLimits } from '../../../src/importer/agent/http/listener.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import { answeringService, imageName } from '../../support/agent-answers.ts'
import { sendTo } from '../../support/agent-http.ts'
import { type KeptLog, keepLog } from '../../support/log-lines.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('An agent among strangers', () => {
  let directory: TemporaryDirectory
  let agent: TestAgent
  let server: SocketServer
  let kept: KeptLog

  beforeEach(async () => {
    directory = await temporaryDirectory()
    kept = keepLog()
    agent = await agentOver(answeringService(), { log: kept.log })
    server = await serveAgent(agent.app, join(directory.path, 'agent.sock'), {
      ...defaultListenerLimits,
      headersMs: 100,
      requestMs: 200,
      maxConnections: 5,
    })
  })
  afterEach(async () => {
    await server.close()
    await agent[Symbol.asyncDispose]()
    await directory.remove()
  })

  const image = { image: imageName }
  const put = '/v1/clones/web1'
  for (const [what, method, path, body, status, says] of [
    ['an unknown field', 'PUT', put, { ...image, mountPoint: '/x' }, 400, /unknown field mountPoint/],
    ['a field that is no number', 'PUT', put, { ...image, quota: '5' }, 400, /quota/],
    ['a field of a prototype', 'PUT', put, '{"image":"a","__proto__":{"quota":5}}', 400, /__proto__/],
    [
      'a property of a prototype',
      'PUT',
      put,
      '{"image":"a","properties":{"__proto__":"x"}}',
      400,
      /__proto__/,
    ],
    ['a property that is no text', 'PUT', put, { ...image, properties: { a: 1 } }, 400, /properties\.a/],
    ['no body', 'PUT', put, undefined, 400, /image/],
    ['a list', 'PUT', put, [], 400, /object/],
    ['null', 'PUT', put, 'null', 400, /object/],
    ['half a JSON', 'PUT', put, '{"image":', 400, /not JSON/],
    ['brackets without end', 'PUT', put, '['.repeat(60_000), 400, /not JSON/],
    ['brackets with an end', 'PUT', put, '['.repeat(30_000) + ']'.repeat(30_000), 400, /not/],
    ['a huge body', 'PUT', put, 'x'.repeat(70_000), 413, /65536 bytes/],
    ['a huge list of names', 'POST', '/v1/clones', 'x'.repeat(5_000_000), 413, /bytes/],
    ['too many names', 'POST', '/v1/clones', { ...image, names: Array(10_001).fill('a') }, 400, /names/],
    ['a name that goes up', 'PUT', '/v1/clones/..%2f..%2fetc', image, 400, /not a name/],
    ['a name of dots', 'GET', '/v1/clones/%2e%2e', undefined, 400, /not a name/],
    ['a name with a NUL', 'DELETE', '/v1/clones/a%00b', undefined, 400, /not a name/],
    ['a name with a snapshot', 'DELETE', '/v1/clones/a@b', undefined, 400, /not a name/],
    ['a name of an option', 'DELETE', '/v1/clones/-r', undefined, 400, /not a name/],
    ['a name without end', 'PUT', `/v1/clones/${'a'.repeat(5000)}`, image, 400, /not a name/],
    ['an image without end', 'PUT', put, { image: 'a'.repeat(5000) }, 400, /image/],
    ['a field in the query', 'GET', '/v1/images?all=1', undefined, 400, /unknown field all/],
    ['two pools', 'GET', '/v1/images?pool=a&pool=b', undefined, 400, /pool/],
    ['another pool', 'GET', '/v1/images?pool=x', undefined, 404, /no pool x; it has tank/],
    ['a pool of a prototype', 'GET', '/v1/images?pool=__proto__', undefined, 404, /it has tank/],
    ['a wait without end', 'PUT', put, { ...image, waitSeconds: 1e9 }, 400, /waitSeconds/],
    ['a path of another case', 'GET', '/V1/images', undefined, 404, /no \/V1/],
    ['a path with a slash at its end', 'GET', '/v1/images/', undefined, 404, /no \/v1\/images\//],
    ['a path below', 'GET', '/v1/clones/a/b', undefined, 404, /no \/v1/],
    ['a method that a path lacks', 'DELETE', '/v1/clones', undefined, 405, /use GET, HEAD, POST/],
    ['a method of another protocol', 'PROPFIND', '/v1/images', undefined, 405, /use DELETE, GET, HEAD/],
  ] as const)
    it(`answers ${what} with ${status} and why`, async () => {
      const answer = await sendTo(server.socket, { method, path, body })
      assert.equal(answer.status, status, answer.text)
      const { error } = JSON.parse(answer.text) as { error: { message: string } }
      assert.match(error.message, says)
      assert.ok(error.message.length < 600, 'a message that repeats what it was sent')
      if (status === 405) assert.match(answer.text, new RegExp(`use ${answer.headers.allow ?? 'nothing'}`))
      assert.equal((await sendTo(server.socket, { method: 'GET', path: '/livez' })).status, 200)
    })

  it('answers any JSON with 4xx, and never with 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.constantFrom('/v1/imports', '/v1/clones', '/v1/prune'),
        async (value, path) => {
          const { status } = await sendTo(server.socket, {
            method: 'POST',
            path,
            body: JSON.stringify(value),
          })
          // A prune without bounds is one, and does nothing.
          assert.ok(status < 500 && (status >= 400 || path === '/v1/prune'), `${status}`)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('gives each request an id, its own where that is sane, and logs it without what may be secret', async () => {
    const ask = async (id: string) =>
      await sendTo(server.socket, {
        method: 'GET',
        path: '/v1/images?image=s3cret',
        headers: { 'X-Request-Id': id, Authorization: 'Bearer s3cret' },
      })
    assert.equal((await ask('my-id.1')).headers['x-request-id'], 'my-id.1')
    assert.match(String((await ask('my id')).headers['x-request-id']), /^[0-9a-f-]{36}$/)
    const line = await kept.find(({ requestId }) => requestId === 'my-id.1')
    assert.deepEqual(
      [line['method'], line['path'], line['route'], line['status']],
      ['GET', '/v1/images', '/v1/images', 400],
    )
    assert.ok(!kept.text().includes('s3cret'))
  })

  for (const [what, bytes, status] of [
    ['headers that do not end', 'GET /v1 HTTP/1.1\r\nHost: x\r\nX-A: ', 408],
    ['a body that does not come', 'POST /v1/imports HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{', 408],
    ['nothing that is HTTP', 'HELO agent\r\n\r\n', 400],
    ['headers without end', `GET /v1 HTTP/1.1\r\nX: ${'x'.repeat(30_000)}`, 431],
  ] as const)
    it(`cuts a connection with ${what}, with a JSON error`, async () => {
      const connection = await connected()
      connection.write(bytes)
      const answer = await text(connection)
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.match(answer, /\{"error":\{"code":"invalid","message":"[^"]+"\}\}\n$/)
    })

  it('says what is wrong with the second request of a connection as well', async () => {
    const connection = await connected()
    connection.setEncoding('utf8')
    connection.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise(resolve => connection.once('data', resolve))
    connection.write('HELO agent\r\n\r\n')
    assert.match(await text(connection), /^HTTP\/1\.1 400 .*"code":"invalid"/s)
  })

  it('closes connections above its limit, and answers the others', async () => {
    const held = await Promise.all(Array.from({ length: 5 }, connected))
    const sixth = await connected()
    assert.equal(await text(sixth).catch(() => ''), '')
    held[0]?.write('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    assert.match(await text(held[0] ?? sixth), /^HTTP\/1\.1 200/)
    for (const one of held) one.destroy()
  })

  it('goes on after a body in chunks that are too many', async () => {
    const connection = await connected()
    const answered = text(connection)
    connection.write('POST /v1/prune HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let sent = 0; sent < 3; sent += 1) connection.write(`8000\r\n${'x'.repeat(0x8000)}\r\n`)
    assert.match(await answered, /^HTTP\/1\.1 413 .*65536 bytes/s)
    await kept.find(({ status }) => status === 413)
    assert.equal((await sendTo(server.socket, { method: 'GET', path: '/livez' })).status, 200)
  })

  for (const [what, bytes] of [
    ['its body', 'POST /v1/prune HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{'],
    ['what it follows', followSlow()],
  ] as const)
    it(`calls it no error of its own when a client leaves in the middle of ${what}`, async () => {
      const connection = await connected()
      connection.end(bytes)
      connection.destroy()
      await kept.find(({ status }) => status === 499)
      assert.equal((await sendTo(server.socket, { method: 'GET', path: '/livez' })).status, 200)
      await kept.find(({ path }) => path === '/livez')
      assert.ok(!kept.text().includes('unexpected error'), kept.text())
    })

  it('ends what a slow reader follows when it leaves', async () => {
    const connection = await connected()
    connection.write(followSlow())
    await new Promise(resolve => connection.once('data', resolve))
    const { jobs } = agent.pools.get(undefined)
    const [job] = jobs.list()
    connection.destroy()
    assert.equal((await job?.ended())?.type, 'error')
  })

  async function connected(): Promise<Socket> {
    const connection = connect(server.socket)
    connection.on('error', () => undefined)
    await new Promise<void>(resolve => connection.once('connect', resolve))
    return connection
  }
})

function followSlow(): string {
  const body = JSON.stringify({ image: 'slow' })
  return `POST /v1/imports?follow=true HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}
