import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { keepLog } from '../support/log-lines.ts'
import { connectRaw } from '../support/raw-http.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

const kept = keepLog()
const index = Buffer.from('{"schemaVersion":2,"manifests":[]}')
const runs = 300

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  // The idle timeout is what ends a connection that says nothing sensible and does not end either.
  registry = await startRegistry({ log: kept.log, timeouts: { idleMs: 5000, headersMs: 5000 } })
  client = new RegistryClient(registry.url)
  for (const tag of ['a', 'b', 'c'])
    assert.equal((await client.putManifest('fuzz', tag, index, mediaTypes.ociIndex)).status, 201)
})
after(() => registry.stop())

const lines = (...text: readonly string[]) => `${text.join('\r\n')}\r\n\r\n`

const sensible: readonly string[] = [
  lines('GET /v2/ HTTP/1.1', 'Host: x'),
  lines('GET /v2/_catalog?n=1 HTTP/1.1', 'Host: x', 'Accept: */*'),
  lines('HEAD /v2/fuzz/manifests/a HTTP/1.1', 'Host: x', 'If-None-Match: "x"'),
  lines('GET http://other/v2/fuzz/tags/list?last=a&n=1 HTTP/1.1', 'Host: x'),
  lines('POST /v2/fuzz/blobs/uploads/ HTTP/1.1', 'Host: x', 'Content-Length: 0'),
  `${lines('PUT /v2/fuzz/manifests/x HTTP/1.1', 'Host: x', 'Content-Length: 5')}{"a":`,
  lines('PATCH /v2/fuzz/blobs/uploads/x HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked') +
    '3\r\nabc\r\n0\r\n\r\n',
  `${lines('PUT /v2/fuzz/manifests/x HTTP/1.1', 'Host: x', 'Expect: 100-continue', 'Content-Length: 2')}{}`,
  lines('OPTIONS * HTTP/1.1', 'Host: x'),
  lines('CONNECT x:443 HTTP/1.1', 'Host: x'),
  lines('GET /v2/ HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket'),
  lines('GET /v2/fuzz/blobs/sha256:x HTTP/1.1', 'Host: x', 'Range: bytes=0-1,5-6'),
  lines('DELETE /v2/fuzz/manifests/none HTTP/1.0'),
]

const garbage = fc.uint8Array({ minLength: 1, maxLength: 2000 }).map(bytes => Buffer.from(bytes))
const hostileText = fc.constantFrom(
  '\r\n',
  '\n',
  '\0',
  ' ',
  'Content-Length: -1\r\n',
  'Content-Length: 99999999999999999999\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n',
  'Content-Range: 0-\r\n',
  '%00%ff%2e%2e/',
  `X: ${'y'.repeat(70_000)}\r\n`,
  'Host: y\r\n',
)
const change = fc.record({
  at: fc.nat(400),
  remove: fc.nat(3),
  insert: fc.oneof(
    hostileText.map(text => Buffer.from(text)),
    fc.uint8Array({ maxLength: 4 }).map(bytes => Buffer.from(bytes)),
  ),
})
const damaged = fc
  .tuple(fc.constantFrom(...sensible), fc.array(change, { minLength: 1, maxLength: 3 }))
  .map(([text, changes]) => changes.reduce(applyChange, Buffer.from(text, 'latin1')))

function applyChange(
  bytes: Buffer,
  { at, remove, insert }: { at: number; remove: number; insert: Buffer },
): Buffer {
  const start = Math.min(at, bytes.length)
  return Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)])
}

/** Sends bytes in pieces, ends, and answers all that came back until the registry ended, too. */
async function converse(bytes: Buffer, cuts: readonly number[] = []): Promise<string> {
  const connection = await connectRaw(registry.url)
  const { socket } = connection
  let start = 0
  for (const cut of [...cuts].sort((one, other) => one - other)) {
    if (!socket.writable) break
    socket.write(bytes.subarray(start, Math.max(start, cut)))
    start = Math.max(start, cut)
    await turn()
  }
  socket.end(bytes.subarray(start))
  const text = await connection.ended()
  socket.destroy()
  return text
}

/** Nothing at all, or answers that blame the client or serve it. */
function assertSane(text: string): void {
  if (text === '') return
  assert.match(text, /^HTTP\/1\.1 [1234]\d\d /)
  assert.doesNotMatch(text, /HTTP\/1\.[01] 5\d\d /)
}

async function assertServes(): Promise<void> {
  assert.equal((await client.send('GET', '/v2/fuzz/manifests/a')).status, 200)
}

const cuts = fc.array(fc.nat(400), { maxLength: 4 })

describe('Bytes that are no HTTP, or almost', { timeout: 120_000 }, () => {
  it('get a sane answer or a closed connection: random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(garbage, cuts, async (bytes, cuts) => assertSane(await converse(bytes, cuts))),
      { numRuns: runs },
    )
    await assertServes()
  })

  it('get a sane answer or a closed connection: damaged requests', async () => {
    await fc.assert(
      fc.asyncProperty(damaged, cuts, async (bytes, cuts) => assertSane(await converse(bytes, cuts))),
      { numRuns: runs },
    )
    await assertServes()
  })

  it('get a sane answer or a closed connection: a damaged request behind good ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...sensible.slice(0, 5)), { maxLength: 3 }),
        damaged,
        cuts,
        async (good, bad, cuts) => {
          assertSane(await converse(Buffer.concat([Buffer.from(good.join('')), bad]), cuts))
        },
      ),
      { numRuns: runs / 3 },
    )
    await assertServes()
  })

  it('end the connection when the headers are larger than is taken', async () => {
    const header = `X-Large: ${'x'.repeat(1000)}\r\n`
    const text = await converse(Buffer.from(`GET /v2/ HTTP/1.1\r\nHost: x\r\n${header.repeat(100)}\r\n`))
    assert.match(text, /^HTTP\/1\.1 431 /)
    const many = 'X-Small: x\r\n'.repeat(4000)
    assertSane(await converse(Buffer.from(`GET /v2/ HTTP/1.1\r\nHost: x\r\n${many}\r\n`)))
    await assertServes()
  })
})

describe('Requests on one connection', { timeout: 60_000 }, () => {
  it('are answered in their order, however they are cut', async () => {
    const paths = fc.array(fc.constantFrom('a', 'b', 'none'), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(paths, fc.array(fc.nat(1500), { maxLength: 8 }), async (tags, cuts) => {
        const requests = tags.map((tag, number) =>
          lines(`GET /v2/fuzz/manifests/${tag} HTTP/1.1`, 'Host: x', `X-Request-Id: request-${number}`),
        )
        const text = await converse(Buffer.from(requests.join('')), cuts)
        const ids = [...text.matchAll(/^x-request-id: (\S+)$/gim)].map(([, id]) => id)
        assert.deepEqual(
          ids,
          tags.map((_, number) => `request-${number}`),
        )
        const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status)
        assert.deepEqual(
          statuses,
          tags.map(tag => (tag === 'none' ? '404' : '200')),
        )
      }),
      { numRuns: 60 },
    )
  })
})

describe('What a client writes into a URL', { timeout: 60_000 }, () => {
  const marker = '\r\nX-Injected: 1\r\n'
  const text = fc
    .tuple(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ maxLength: 20 }), fc.boolean())
    .map(([one, two, marked]) => one + (marked ? marker : '>; rel="next", </evil') + two)
  const target = fc.oneof(
    fc
      .tuple(fc.constantFrom('n=1&last', 'last', 'n', 'n=2&ns'), text)
      .map(([name, value]) => ['GET', `/v2/fuzz/tags/list?${name}=${encoded(value)}`]),
    text.map(value => ['GET', `/v2/_catalog?n=1&last=${encoded(value)}`]),
    text.map(value => ['GET', `/v2/fuzz/manifests/${encoded(value)}`]),
    text.map(value => ['GET', `/v2/${encoded(value)}/tags/list`]),
    fc
      .tuple(fc.constantFrom('mount', 'from', 'digest', 'digest-algorithm', 'mount=x&from'), text)
      .map(([name, value]) => ['POST', `/v2/fuzz/blobs/uploads/?${name}=${encoded(value)}`]),
    text.map(value => ['GET', `/v2/fuzz/blobs/uploads/${encoded(value)}?_state=${encoded(value)}`]),
    text.map(value => ['GET', `/v2/fuzz/referrers/sha256:${'0'.repeat(64)}?artifactType=${encoded(value)}`]),
  )

  it('becomes no header, and no part of another', async () => {
    await fc.assert(
      fc.asyncProperty(target, async ([method, path]) => {
        const answer = await converse(
          Buffer.from(lines(`${method} ${path} HTTP/1.1`, 'Host: x', 'Content-Length: 0')),
        )
        assertSane(answer)
        const [head = ''] = answer.split('\r\n\r\n', 1)
        assert.doesNotMatch(head, /^x-injected/im)
        assert.doesNotMatch(head, /evil/)
        for (const [, link] of head.matchAll(/^link: (.*)$/gim))
          assert.match(String(link), /^<\/v2\/[!-;=?-~]*>; rel="next"$/)
      }),
      { numRuns: runs },
    )
  })
})

/** As a client that knows how, except for lone surrogates, which nobody can encode. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

describe('After all that, the registry', () => {
  it('has made no mistake', () => {
    assert.deepEqual(
      kept.lines().filter(({ level }) => level === 'error'),
      [],
    )
  })
})
