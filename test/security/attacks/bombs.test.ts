/** Bodies that are made to be too much: for a parser, for memory, for patience. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type AttackedRegistry, startAttacked } from '../../support/attacked-registry.ts'
import { connectRaw, type RawConnection, writePatiently } from '../../support/raw-http.ts'

const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth)

/** Begins a request whose body then comes, if at all, by single bytes. */
async function trickle({ url }: AttackedRegistry, head: string): Promise<RawConnection & { stop(): void }> {
  const raw = await connectRaw(url)
  raw.socket.write(head)
  const byte = head.includes('chunked') ? '1\r\na\r\n' : 'a'
  const timer = setInterval(() => raw.socket.write(byte), 100)
  raw.socket.on('close', () => clearInterval(timer))
  return { ...raw, stop: () => raw.socket.destroy() }
}

const tokenHead =
  'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 65000\r\n\r\n'

const endlessHead = tokenHead.replace('Content-Length: 65000', 'Transfer-Encoding: chunked')

describe('A body for the administration', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())

  const send = (body: string | Buffer, headers: Record<string, string> = json, path = '/api/v1/tenants') =>
    registry
      .with(registry.login('root'))
      .send('POST', path, { body, headers: { connection: 'close', ...headers } })

  const name = '"name":"evil"'
  for (const [what, body, status] of [
    ['that is nested 70,000 deep', nested(70_000), 400],
    ['that nests where a name belongs', `{"name":${nested(60_000)}}`, 400],
    ['that nests objects', `{"name":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`, 400],
    ['of opening brackets only', '['.repeat(150_000), 400],
    ['of a megabyte', `{"name":"${'x'.repeat(1024 * 1024)}"}`, 413],
    ['of 20,000 fields', `{${name},${Array.from({ length: 10_000 }, (_, at) => `"k${at}":1`).join()}}`, 400],
    ['with a field whose name is long', `{${name},"${'x'.repeat(100_000)}":1}`, 400],
    ['with a field that is not known', `{${name},"isAdmin":true}`, 400],
    ['with a prototype', `{${name},"__proto__":{"quotaBytes":null}}`, 400],
    ['with a constructor', `{${name},"constructor":{"prototype":{"isAdmin":true}}}`, 400],
    ['with all of it in a prototype', `{"__proto__":{${name}}}`, 400],
    ['with a number beyond all numbers', `{${name},"quotaBytes":1e999}`, 400],
    ['with a number that is not exact', `{${name},"quotaBytes":9007199254740993}`, 400],
    ['with a negative number', `{${name},"quotaBytes":-1}`, 400],
    ['with half a byte', `{${name},"quotaBytes":0.5}`, 400],
    ['with a number of 100,000 digits', `{${name},"quotaBytes":${'9'.repeat(100_000)}}`, 400],
    ['with a number as text', `{${name},"quotaBytes":"1"}`, 400],
    ['with a word where a number belongs', `{${name},"quotaBytes":true}`, 400],
    ['with what JSON does not have', `{${name},"quotaBytes":NaN}`, 400],
    ['with a comment', `{${name}/**/}`, 400],
    ['with a comma too many', `{${name},}`, 400],
    ['with single quotes', `{'name':'evil'}`, 400],
    ['with two values', `{${name}}{${name}}`, 400],
    ['with a NUL in a name', '{"name":"evil\\u0000"}', 400],
    ['with a NUL in a text', `{${name},"description":"a\\u0000b"}`, 400],
    ['with a newline in a text', `{${name},"description":"a\\nb"}`, 400],
    ['with an escape of a terminal in a text', `{${name},"description":"\\u001b[2J"}`, 400],
    ['with a NUL between its signs', `{${name}\0}`, 400],
    ['that is a list', `[{${name}}]`, 400],
    ['that is a text', '"evil"', 400],
    ['that is null', 'null', 400],
    ['that is nothing', '', 400],
    [
      'that is not UTF-8',
      Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      400,
    ],
    ['that is UTF-16', Buffer.from(`{${name}}`, 'utf16le'), 400],
    ['whose name is a list', '{"name":["evil"]}', 400],
    ['whose name has a method', '{"name":{"toString":"evil","length":4}}', 400],
  ] as const)
    it(`${what} is refused`, async () => {
      const answer = await registry.unharmed(() => send(body))
      assert.equal(answer.status, status, answer.bytes.toString())
      assert.ok(answer.bytes.length < 1000, answer.bytes.toString())
    })

  it('of another type is refused, as a page of somebody else would send it', async () => {
    await registry.unharmed(async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json; charset=utf-16',
        'application/json, text/plain',
        'text/plain; application/json',
        'application/json5',
        'application/ld+json',
        '',
      ])
        assert.equal((await send(`{${name}}`, { 'content-type': type })).status, 400, type)
    })
  })

  it('that names a part of the path once more is refused', async () => {
    await registry.unharmed(async () => {
      const robot = '{"tenant":"acme","name":"x"}'
      assert.equal((await send(robot, json, '/api/v1/tenants/other/robots')).status, 400)
      assert.equal((await send('{"name":"x"}', json, '/api/v1/tenants/other/robots?tenant=acme')).status, 400)
    })
  })

  it('of somebody who is not known is not read', async () => {
    const raw = await connectRaw(registry.url)
    raw.socket.write(
      'POST /api/v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n',
    )
    const text = await raw.until(/\r\n\r\n.*\}$/s)
    assert.match(text, /^HTTP\/1\.1 401 /)
    raw.socket.destroy()
  })
})

describe('A manifest', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry

  before(async () => {
    registry = resources.use(await startAttacked())
  })
  after(() => resources.disposeAsync())

  for (const [what, body] of [
    ['nested 500,000 deep', nested(500_000)],
    ['nested in its annotations', `{"schemaVersion":2,"annotations":{"a":${nested(100_000)}}}`],
    ['of five megabytes', `{"a":"${'x'.repeat(5 * 1024 * 1024)}"}`],
    ['with a prototype', '{"__proto__":{"schemaVersion":2,"config":{},"layers":[]}}'],
    ['with 300,000 layers', `{"schemaVersion":2,"config":{},"layers":[${'{},'.repeat(300_000)}{}]}`],
    ['that begins with a byte order mark', '\ufeff{"schemaVersion":2}'],
    ['with a NUL', '{"schemaVersion":2}\0'],
    ['that says twice what it is', '{"schemaVersion":2,"schemaVersion":1}'],
  ] as const)
    it(`${what} is refused`, async () => {
      await registry.unharmed(async () => {
        for (const type of [mediaTypes.ociManifest, mediaTypes.ociIndex, 'application/json']) {
          // A body that is refused unread is not read to its end, so the connection is of no more use.
          const headers = { 'content-type': type, connection: 'close' }
          const dave = registry.with(registry.login('dave'))
          const { status } = await dave.send('PUT', '/v2/acme/app/manifests/bomb', { body, headers })
          assert.ok(status === 400 || status === 413, `${type}: ${status}`)
        }
      })
    })
})

describe('A form for the token service', () => {
  const resources = new AsyncDisposableStack()
  let registry: AttackedRegistry
  let login: string

  before(async () => {
    registry = resources.use(await startAttacked({ 'registry.idleTimeoutSeconds': 2 }))
    login = `grant_type=password&username=dave&password=${registry.tokenOf('dave')}`
  })
  after(() => resources.disposeAsync())

  const send = (body: string | Buffer, headers: Record<string, string> = form) =>
    registry.with().send('POST', '/token', { body, headers: { connection: 'close', ...headers } })

  for (const [what, body, status] of [
    ['of 30,000 fields', () => `${login}&${'a&'.repeat(30_000)}`, 200],
    ['of 30,000 fields and no login', () => 'a=&'.repeat(20_000), 400],
    ['of a megabyte', () => `${login}&a=${'x'.repeat(1024 * 1024)}`, 413],
    ['of percent signs', () => '%'.repeat(60_000), 400],
    ['of plus signs', () => `grant_type=password&username=${'+'.repeat(60_000)}&password=x`, 401],
    ['with two grant types', () => `${login}&grant_type=refresh_token`, 400],
    ['with two user names', () => `${login}&username=root`, 400],
    ['with two passwords', () => `${login}&password=x`, 400],
    ['with a user name in brackets', () => login.replace('username', 'username[]'), 400],
    ['with an empty password', () => 'grant_type=password&username=dave&password=', 400],
    ['with a NUL in its password', () => `${login}%00`, 400],
    ['with a newline in its user name', () => login.replace('dave', 'dave%0aroot'), 400],
    [
      'for the grant type of a program',
      () => 'grant_type=client_credentials&client_id=root&client_secret=x',
      400,
    ],
    ['for the grant type of a code', () => 'grant_type=authorization_code&code=x', 400],
    ['for another account', () => `${login}&account=root`, 401],
    ['for another service', () => `${login}&service=other`, 400],
    ['that is JSON', () => JSON.stringify({ grant_type: 'password' }), 400],
    ['that is UTF-16', () => Buffer.from(login, 'utf16le'), 400],
    ['that is nothing', () => '', 400],
  ] as const)
    it(`${what} is answered with ${status}, and nothing of it comes back`, async () => {
      const answer = await registry.unharmed(() => send(body()))
      assert.equal(answer.status, status, answer.bytes.toString())
      const text = answer.bytes.toString()
      assert.ok(status === 200 || text.length < 600, text)
      assert.ok(!text.includes(registry.tokenOf('dave')))
    })

  it('in another form than that is refused', async () => {
    const part = '--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\npassword\r\n--x--\r\n'
    await registry.unharmed(async () => {
      for (const [type, body] of [
        ['multipart/form-data; boundary=x', part],
        ['application/json', JSON.stringify({ grant_type: 'password' })],
        ['text/plain', login],
        ['application/x-www-form-urlencoded, text/plain', login],
        ['', login],
      ] as const) {
        const answer = await send(body, { 'content-type': type })
        assert.deepEqual([answer.status, answer.codes], [400, ['INVALID']], type)
      }
    })
  })

  it('without an end is cut where it is too long', async () => {
    const raw = await connectRaw(registry.url)
    raw.socket.write(
      'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    const chunk = Buffer.from(`10000\r\n${'a'.repeat(0x10000)}\r\n`)
    await writePatiently(raw.socket, chunk.length * 4, chunk)
    assert.match(await raw.until(/\r\n\r\n/), /^HTTP\/1\.1 413 /)
    raw.socket.destroy()
  })

  it('that trickles is cut, and so is a body for the administration', async () => {
    const head = `POST /api/v1/tenants HTTP/1.1\r\nHost: x\r\nAuthorization: ${registry.login('root')}\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n`
    await registry.unharmed(async () => {
      const slow = await Promise.all([trickle(registry, tokenHead), trickle(registry, head)])
      for (const one of slow) {
        assert.equal(await one.ended(), '')
        one.stop()
      }
    })
  })

  it('of 400 strangers that trickle leaves all memory to those who push', async () => {
    // Twice a part of the smallest size, which is all that there may be.
    await using small = await startAttacked({
      'registry.partBytes': 5 * 1024 * 1024,
      'registry.uploadMemoryBytes': 10 * 1024 * 1024,
    })
    const slow = await Promise.all(Array.from({ length: 400 }, () => trickle(small, endlessHead)))
    // Whoever pushes comes when all of them have been let in.
    await sleep(500)
    const push = small.with(small.login('dave')).pushImage('acme/meanwhile', '1', Buffer.from('a layer'))
    const outcome = await Promise.race([push, sleep(120_000, 'nothing', { ref: false })])
    for (const one of slow) one.stop()
    assert.match(outcome, /^sha256:/)
  })
})
