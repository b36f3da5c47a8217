import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { request } from 'undici'
import { isDomainError } from '../../src/errors.ts'
import { listen } from '../../src/registry/server.ts'
import { connectRaw, writePatiently } from '../support/raw-http.ts'
import { serveStub } from '../support/stub-registry.ts'

const crlf = (...lines: readonly string[]) => `${lines.join('\r\n')}\r\n`
const MiB = 1024 * 1024

describe('a body that nobody reads', () => {
  it('when short is dropped, and the connection serves the next request', async () => {
    await using registry = await serveStub()
    const raw = await connectRaw(registry.url)
    raw.socket.write(crlf('PUT /v2/ HTTP/1.1', 'Host: x', 'Content-Length: 100000', ''))
    raw.socket.write(Buffer.alloc(100_000))
    raw.socket.write(crlf('GET /livez HTTP/1.1', 'Host: x', 'Connection: close', ''))
    assert.match(await raw.ended(), /^HTTP\/1.1 405 [\s\S]*HTTP\/1.1 200 /)
  })

  for (const framing of ['Content-Length: 1073741824', 'Transfer-Encoding: chunked'])
    it(`when long (${framing}) gets its answer and then the end of the connection`, async () => {
      await using registry = await serveStub()
      const raw = await connectRaw(registry.url)
      raw.socket.write(crlf('PUT /v2/A/manifests/x HTTP/1.1', 'Host: x', framing, ''))
      if (framing.startsWith('Transfer')) raw.socket.write('40000000\r\n')
      const sending = writePatiently(raw.socket, 1024 * MiB)
      await raw.until(/^HTTP\/1.1 400 [\s\S]*NAME_INVALID/)
      assert.match(await raw.ended(), /NAME_INVALID/)
      raw.socket.destroy()
      assert.ok((await sending) < 1024 * MiB)
    })

  it('that trickles is cut', async () => {
    const leftoverLimits = { drainBytes: MiB, drainMs: 50 }
    await using registry = await serveStub({}, { leftoverLimits })
    const raw = await connectRaw(registry.url)
    raw.socket.write(crlf('PUT /v2/ HTTP/1.1', 'Host: x', 'Content-Length: 10', ''))
    assert.match(await raw.ended(), /^HTTP\/1.1 405 /)
  })
})

describe('Expect: 100-continue', () => {
  const head = (path: string) =>
    crlf(`PUT ${path} HTTP/1.1`, 'Host: x', 'Content-Length: 2', 'Expect: 100-continue', '')

  it('is answered when the body is wanted', async () => {
    await using registry = await serveStub()
    const raw = await connectRaw(registry.url)
    raw.socket.write(head('/v2/a/manifests/x'))
    await raw.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
    raw.socket.write('{}')
    assert.match(await raw.until(/MANIFEST_INVALID/), /HTTP\/1.1 400 /)
    raw.socket.destroy()
  })

  it('is not answered when the request is refused, and the connection ends', async () => {
    await using registry = await serveStub()
    const raw = await connectRaw(registry.url)
    raw.socket.write(head('/v2/A/manifests/x'))
    const text = await raw.ended()
    assert.match(text, /^HTTP\/1.1 400 /)
    assert.match(text, /\r\nConnection: close\r\n/)
  })
})

describe('a client that leaves', () => {
  it('aborts what runs for it', async () => {
    let signal: AbortSignal | undefined
    let started: (() => void) | undefined
    const running = new Promise<void>(resolve => {
      started = resolve
    })
    await using registry = await serveStub({
      listTags: (_repository: string, _page: object, options: { signal: AbortSignal }) => {
        signal = options.signal
        started?.()
        return sleep(60_000, [], { signal: options.signal })
      },
    })
    const raw = await connectRaw(registry.url)
    raw.socket.write(crlf('GET /v2/a/tags/list HTTP/1.1', 'Host: x', ''))
    await running
    raw.socket.destroy()
    const line = await registry.kept.find(({ message }) => message === 'request')
    assert.equal(signal?.aborted, true)
    assert.deepEqual([line['status'], line['operation']], [499, 'tags.list'])
    await turn()
    assert.equal(registry.kept.lines().filter(({ level }) => level === 'error').length, 0)
  })

  it('ends the body with an error, never with an end', async () => {
    let outcome: string | undefined
    await using registry = await serveStub({
      create: async () => ({
        write: async (body: Readable) => {
          const bytes = await body.toArray().catch((error: Error) => error.name)
          outcome = typeof bytes === 'string' ? bytes : 'complete'
          throw new Error('the client is gone')
        },
        cancel: async () => {},
        [Symbol.asyncDispose]: async () => {},
      }),
    })
    const raw = await connectRaw(registry.url)
    const path = `/v2/a/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`
    raw.socket.write(crlf(`POST ${path} HTTP/1.1`, 'Host: x', 'Content-Length: 10', ''))
    raw.socket.end('12345')
    await registry.kept.find(({ message }) => message === 'request')
    await turn()
    assert.equal(outcome, 'AbortError')
  })
})

describe('listen', () => {
  it('says what is wrong with an address', async () => {
    await using registry = await serveStub()
    const port = Number(new URL(registry.url).port)
    await assert.rejects(
      listen(async () => {}, { host: '127.0.0.1', port }),
      error => isDomainError(error, 'unavailable') && error.message.includes(String(port)),
    )
  })

  it('cuts a connection on which nothing moves', async () => {
    await using registry = await serveStub({}, { timeouts: { idleMs: 50 } })
    const raw = await connectRaw(registry.url)
    raw.socket.write(crlf('PUT /v2/a/manifests/x HTTP/1.1', 'Host: x', 'Content-Length: 10', ''))
    raw.socket.write('half')
    assert.equal(await raw.ended(), '')
  })

  it('leaves one alone whose client waits for us', async () => {
    await using registry = await serveStub(
      { listTags: () => sleep(2500, []) },
      { timeouts: { idleMs: 1000 } },
    )
    const { statusCode, body } = await request(`${registry.url}/v2/a/tags/list`)
    await body.dump()
    assert.equal(statusCode, 200)
  })
})

describe('close', () => {
  it('lets running requests finish, and takes no new ones', async () => {
    let finish: (tags: string[]) => void = () => {}
    let started: () => void = () => {}
    const running = new Promise<void>(resolve => {
      started = resolve
    })
    await using registry = await serveStub(
      {
        listTags: () => {
          started()
          return new Promise<string[]>(resolve => {
            finish = resolve
          })
        },
      },
      { timeouts: { stopMs: 60_000 } },
    )
    const idle = await connectRaw(registry.url)
    idle.socket.write(crlf('GET /livez HTTP/1.1', 'Host: x', ''))
    await idle.until(/live/)
    const answer = request(`${registry.url}/v2/a/tags/list`)
    await running
    const closed = registry.close()
    await idle.ended()
    await assert.rejects(connectRaw(registry.url))
    finish(['x'])
    assert.deepEqual(await (await answer).body.json(), { name: 'a', tags: ['x'] })
    await closed
    await registry.close()
  })

  it('cuts requests that do not finish in time', async () => {
    let started: () => void = () => {}
    const running = new Promise<void>(resolve => {
      started = resolve
    })
    const listTags = () => {
      started()
      return new Promise(() => {})
    }
    const registry = await serveStub({ listTags }, { timeouts: { stopMs: 30 } })
    const raw = await connectRaw(registry.url)
    raw.socket.write(crlf('GET /v2/a/tags/list HTTP/1.1', 'Host: x', ''))
    await running
    await registry.close()
    assert.equal(await raw.ended(), '')
  })
})
