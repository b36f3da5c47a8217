import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../../../src/errors.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { connectRaw, writePatiently } from '../../support/raw-http.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient, withQuery } from '../../support/registry-client.ts'
import { serveStub } from '../../support/stub-registry.ts'

const MiB = 1024 * 1024
const head = (method: string, path: string, ...headers: readonly string[]) =>
  `${[`${method} ${path} HTTP/1.1`, 'Host: x', ...headers].join('\r\n')}\r\n\r\n`

describe('checklist: Server', () => {
  it('> 300 s upload survives: only idle time is limited, here to less than the upload takes', async () => {
    const timeouts = { headersMs: 2000, keepAliveMs: 2000, idleMs: 2000 }
    await using registry = await startRegistry({ timeouts })
    const client = new RegistryClient(registry.url)
    const location = await client.startUpload('slow')
    const body = new PassThrough()
    const patch = client.send('PATCH', location, { body })
    const bytes = randomBytes(1000)
    for (let at = 0; at < bytes.length; at += 50) {
      body.write(bytes.subarray(at, at + 50))
      await sleep(125)
    }
    body.end()
    const { status, headers } = await patch
    assert.deepEqual([status, headers['range']], [202, '0-999'])
    const put = withQuery(String(headers['location']), 'digest', digestOf(bytes))
    assert.equal((await client.send('PUT', put)).status, 201)
  })

  it('slow-loris cut by idle timeout', async () => {
    await using registry = await startRegistry({ timeouts: { headersMs: 3000, idleMs: 1000 } })
    const client = new RegistryClient(registry.url)
    const location = await client.startUpload('loris')
    for (const beginning of [
      'GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ',
      head('PATCH', location, 'Content-Length: 1000000'),
    ]) {
      const raw = await connectRaw(registry.url)
      raw.socket.write(beginning)
      await raw.ended()
      raw.socket.destroy()
    }
    assert.equal((await client.send('GET', location)).status, 204)
  })

  it('a refusal (405 of a read-only registry) on huge body closes cleanly', async () => {
    await using registry = await startRegistry({ rules: { readOnly: true } })
    const raw = await connectRaw(registry.url)
    raw.socket.write(head('POST', '/v2/a/blobs/uploads/', `Content-Length: ${1024 * MiB}`))
    const sending = writePatiently(raw.socket, 1024 * MiB)
    assert.match(await raw.until(/UNSUPPORTED/), /^HTTP\/1.1 405 /)
    await raw.ended()
    raw.socket.destroy()
    assert.ok((await sending) < 1024 * MiB)
  })

  it('Expect: 100-continue', async () => {
    await using registry = await startRegistry()
    const client = new RegistryClient(registry.url)
    const raw = await connectRaw(registry.url)
    const location = await client.startUpload('expect')
    raw.socket.write(head('PATCH', location, 'Content-Length: 3', 'Expect: 100-continue'))
    await raw.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    raw.socket.write('abc')
    assert.match(await raw.until(/Range: 0-2/), /HTTP\/1.1 202 /)
    raw.socket.destroy()
  })

  for (const [code, status, oci] of [
    ['unavailable', 503, 'UNAVAILABLE'],
    ['no_space', 507, 'UNAVAILABLE'],
  ] as const)
    it(`object store failures (${code}) → ${status} not 500`, async () => {
      const failure = () => Promise.reject(new DomainError(code, 'SlowDown', { resource: 'object' }))
      await using registry = await serveStub({ create: failure, open: failure, resume: failure })
      const client = new RegistryClient(registry.url)
      const digest = digestOf(Buffer.from('x'))
      const session = '/v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000'
      for (const [method, path] of [
        ['POST', '/v2/a/blobs/uploads/'],
        ['POST', `/v2/a/blobs/uploads/?digest=${digest}`],
        ['PATCH', session],
        ['PUT', `${session}?digest=${digest}`],
        ['GET', `/v2/a/blobs/${digest}`],
      ] as const) {
        const answer = await client.send(method, path, method === 'GET' ? {} : { body: 'x' })
        assert.deepEqual([answer.status, answer.codes], [status, [oci]], `${method} ${path}`)
        assert.equal(answer.headers['retry-after'], '5')
      }
    })
})
