import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../../src/storage/digest.ts'
import { connectRaw } from '../../support/raw-http.ts'
import { untilArrived, untilHeld } from '../../support/held-upload.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { type Answer, RegistryClient, withQuery } from '../../support/registry-client.ts'

const bytes = randomBytes(3000)
const digest = digestOf(bytes)
const sha512 = digestOf(bytes, 'sha512')
const wrong = digestOf(Buffer.from('other'))
const empty = digestOf(Buffer.alloc(0))

let registry: TestRegistry
let client: RegistryClient
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
})
after(() => registry.stop())

const fresh = () => `push/${randomUUID()}`
const chunk = (from: number, to: number) => ({
  headers: { 'content-range': `${from}-${to - 1}`, 'content-type': 'application/octet-stream' },
  body: bytes.subarray(from, to),
})
const locationOf = ({ headers }: Answer) => String(headers['location'])
const close = (location: string, of: string = digest, call = {}) =>
  client.send('PUT', withQuery(location, 'digest', of), call)

async function assertThere(repository: string, of: string = digest, content: Buffer = bytes): Promise<void> {
  assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${of}`)).status, 200)
  assert.deepEqual((await client.send('GET', `/v2/${repository}/blobs/${of}`)).bytes, content)
}

async function assertRefused(answer: Promise<Answer>, status: number, code: string): Promise<Answer> {
  const refused = await answer
  assert.deepEqual([refused.status, refused.codes], [status, [code]])
  return refused
}

describe('checklist: Push', () => {
  it('streaming PATCH without length', async () => {
    const repository = fresh()
    const body = Readable.from([bytes.subarray(0, 1), bytes.subarray(1)])
    const patched = await client.send('PATCH', await client.startUpload(repository), { body })
    assert.deepEqual([patched.status, patched.headers['range']], [202, '0-2999'])
    assert.equal((await close(locationOf(patched))).status, 201)
    await assertThere(repository)
  })

  it('PATCH chunks; gap/replay/overlap → 416 and session lives', async () => {
    const repository = fresh()
    let location = await client.startUpload(repository)
    for (const [from, to] of [
      [0, 1000],
      [1000, 2000],
      [2000, 3000],
    ] as const) {
      const overlap = from === 0 ? [] : [chunk(0, 1000), chunk(from - 1, to)]
      for (const call of [chunk(from + 1, to), ...overlap]) {
        const refused = await assertRefused(client.send('PATCH', location, call), 416, 'RANGE_INVALID')
        assert.equal(refused.headers['range'], `0-${Math.max(from - 1, 0)}`)
        const status = await client.send('GET', locationOf(refused))
        assert.deepEqual([status.status, status.headers['range']], [204, `0-${Math.max(from - 1, 0)}`])
      }
      const patched = await client.send('PATCH', location, chunk(from, to))
      assert.deepEqual([patched.status, patched.headers['range']], [202, `0-${to - 1}`])
      location = locationOf(patched)
    }
    assert.equal((await close(location)).status, 201)
    await assertThere(repository)
  })

  it('GET session with `digest` query', async () => {
    const location = await client.startUpload(fresh())
    const next = locationOf(await client.send('PATCH', location, chunk(0, 1000)))
    const status = await client.send('GET', withQuery(next, 'digest', digest))
    assert.deepEqual([status.status, status.headers['range'], status.bytes.length], [204, '0-999', 0])
  })

  it('PUT: none / last chunk / whole body', async () => {
    const none = fresh()
    const all = locationOf(await client.send('PATCH', await client.startUpload(none), { body: bytes }))
    assert.equal((await close(all)).status, 201)
    await assertThere(none)
    const last = fresh()
    const some = locationOf(await client.send('PATCH', await client.startUpload(last), chunk(0, 1000)))
    assert.equal((await close(some, digest, chunk(1000, 3000))).status, 201)
    await assertThere(last)
    const whole = fresh()
    assert.equal((await close(await client.startUpload(whole), digest, { body: bytes })).status, 201)
    await assertThere(whole)
  })

  it('PUT with out-of-order range → 416', async () => {
    const repository = fresh()
    const location = locationOf(
      await client.send('PATCH', await client.startUpload(repository), chunk(0, 1000)),
    )
    for (const call of [chunk(2000, 3000), chunk(0, 1000), chunk(999, 3000)])
      await assertRefused(close(location, digest, call), 416, 'RANGE_INVALID')
    assert.equal((await close(location, digest, chunk(1000, 3000))).status, 201)
  })

  it('PUT missing/garbage/unsupported/mismatching digest → 400 DIGEST_INVALID', async () => {
    const repository = fresh()
    const location = locationOf(
      await client.send('PATCH', await client.startUpload(repository), { body: bytes }),
    )
    await assertRefused(client.send('PUT', location), 400, 'DIGEST_INVALID')
    for (const bad of ['garbage', 'sha256:short', `md5:${'0'.repeat(32)}`, digest.toUpperCase(), ''])
      await assertRefused(close(location, bad), 400, 'DIGEST_INVALID')
    await assertRefused(close(location, wrong), 400, 'DIGEST_INVALID')
    const single = `/v2/${repository}/blobs/uploads/`
    for (const bad of ['garbage', `md5:${'0'.repeat(32)}`, wrong])
      await assertRefused(
        client.send('POST', withQuery(single, 'digest', bad), { body: bytes }),
        400,
        'DIGEST_INVALID',
      )
  })

  it('PUT repeated after success → 201', async () => {
    for (const [first, call] of [
      [chunk(0, 3000), {}],
      [chunk(0, 1000), chunk(1000, 3000)],
    ] as const) {
      const location = locationOf(await client.send('PATCH', await client.startUpload(fresh()), first))
      for (let attempt = 0; attempt < 3; attempt++)
        assert.equal((await close(location, digest, call)).status, 201)
    }
  })

  it('PUT `Content-Range: 0-0`/any with empty body tolerated', async () => {
    for (const range of ['0-0', '3000-3000', '2999-2999', '3000-2999', 'nonsense']) {
      const location = locationOf(
        await client.send('PATCH', await client.startUpload(fresh()), chunk(0, 3000)),
      )
      const headers = { 'content-range': range, 'content-length': '0' }
      assert.equal((await close(location, digest, { headers })).status, 201, range)
    }
  })

  it('single POST incl. empty blob', async () => {
    for (const [of, content] of [
      [digest, bytes],
      [empty, Buffer.alloc(0)],
    ] as const) {
      const repository = fresh()
      const path = withQuery(`/v2/${repository}/blobs/uploads/`, 'digest', of)
      const answer = await client.send('POST', path, { body: content })
      assert.deepEqual([answer.status, answer.headers['docker-content-digest']], [201, of])
      await assertThere(repository, of, content)
    }
  })

  for (const hint of ['', '?digest-algorithm=sha512', '?digest-algorithm=sha256'])
    it(`sha512 by each method ${hint === '' ? 'without hint' : `with ${hint}`}`, async () => {
      const start = async (repository: string) =>
        locationOf(await client.send('POST', `/v2/${repository}/blobs/uploads/${hint}`))
      const methods: Record<string, (repository: string) => Promise<Answer>> = {
        'single POST': repository => {
          const path = withQuery(`/v2/${repository}/blobs/uploads/${hint}`, 'digest', sha512)
          return client.send('POST', path, { body: bytes })
        },
        'POST and PUT': async repository => close(await start(repository), sha512, { body: bytes }),
        stream: async repository => {
          const body = Readable.from([bytes])
          return close(locationOf(await client.send('PATCH', await start(repository), { body })), sha512)
        },
        chunks: async repository => {
          const next = locationOf(await client.send('PATCH', await start(repository), chunk(0, 2000)))
          return close(locationOf(await client.send('PATCH', next, chunk(2000, 3000))), sha512)
        },
        'chunks, the last in PUT': async repository => {
          const next = locationOf(await client.send('PATCH', await start(repository), chunk(0, 2000)))
          return close(next, sha512, chunk(2000, 3000))
        },
      }
      for (const [method, push] of Object.entries(methods)) {
        const repository = fresh()
        const answer = await push(repository)
        assert.deepEqual([answer.status, answer.headers['docker-content-digest']], [201, sha512], method)
        await assertThere(repository, sha512)
        assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404)
      }
    })

  it('DELETE session 204 then 404', async () => {
    const repository = fresh()
    const location = locationOf(
      await client.send('PATCH', await client.startUpload(repository), { body: bytes }),
    )
    assert.equal((await client.send('DELETE', location)).status, 204)
    for (const method of ['DELETE', 'GET', 'PATCH'])
      await assertRefused(
        client.send(method === 'GET' ? 'PUT' : method, withQuery(location, 'digest', digest)),
        404,
        'BLOB_UPLOAD_UNKNOWN',
      )
    assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404)
  })

  it('aborted PATCH then resume', async () => {
    const repository = fresh()
    const location = await client.startUpload(repository)
    const raw = await connectRaw(registry.url)
    raw.socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n`)
    raw.socket.write(bytes.subarray(0, 1000))
    await sleep(50)
    raw.socket.destroy()
    const status = await client.send('GET', location)
    assert.equal(status.status, 204)
    // The next writer waits for the broken one to let go, and is told where to go on.
    const probe = await client.send('PATCH', location, chunk(2999, 3000))
    const offset = probe.headers['range'] === '0-0' ? 0 : Number(probe.headers['range']?.split('-')[1]) + 1
    assert.deepEqual([probe.status, offset <= 1000], [416, true])
    assert.equal((await close(locationOf(probe), digest, chunk(offset, 3000))).status, 201)
    await assertThere(repository)
  })

  it('two sessions, same digest, both 201', async () => {
    const repository = fresh()
    const sessions = [await client.startUpload(repository), await client.startUpload(repository)]
    const answers = await Promise.all(sessions.map(session => close(session, digest, { body: bytes })))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [201, 201],
    )
    await assertThere(repository)
  })

  it('two PATCHes at once never interleave', async () => {
    const repository = fresh()
    const location = await client.startUpload(repository)
    const slow = new PassThrough()
    const first = client.send('PATCH', location, { body: slow })
    slow.write(bytes.subarray(0, 1500))
    await untilHeld(registry, location)
    const second = client.send('PATCH', location, { body: Buffer.alloc(1500, 'x') })
    await untilArrived(client)
    await sleep(50)
    slow.end(bytes.subarray(1500))
    assert.deepEqual([(await first).status, (await second).status], [202, 416])
    assert.equal((await close(locationOf(await second))).status, 201)
    await assertThere(repository)
  })

  it('HEAD right after 201 is 200, from any replica', async () => {
    await using replica = await startRegistry({ directory: registry.directory })
    const other = new RegistryClient(replica.url)
    for (let round = 0; round < 5; round++) {
      const repository = fresh()
      await client.pushBlob(repository, bytes)
      assert.equal((await other.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 200)
    }
  })

  it('session of repo A refused under repo B', async () => {
    const [a, b] = [fresh(), fresh()]
    const location = (await client.startUpload(a)).replace(a, b)
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const answer = await client.send(method, withQuery(location, 'digest', digest))
      assert.deepEqual([answer.status, answer.codes], [404, ['BLOB_UPLOAD_UNKNOWN']], method)
    }
  })

  it('expired session 404', async () => {
    await using hasty = await startRegistry({ settings: { uploadTtlMs: 0 } })
    const impatient = new RegistryClient(hasty.url)
    const location = await impatient.startUpload('late')
    await sleep(5)
    for (const method of ['GET', 'PATCH', 'DELETE'])
      assert.equal((await impatient.send(method, location)).status, 404, method)
  })

  it('POST without trailing slash', async () => {
    const answer = await client.send('POST', `/v2/${fresh()}/blobs/uploads`)
    assert.equal(answer.status, 202)
    assert.equal((await close(locationOf(answer), digest, { body: bytes })).status, 201)
  })

  it('`Content-Type: application/json` on POST', async () => {
    const headers = { 'content-type': 'application/json' }
    const repository = fresh()
    assert.equal((await client.send('POST', `/v2/${repository}/blobs/uploads/`, { headers })).status, 202)
    const single = withQuery(`/v2/${repository}/blobs/uploads/`, 'digest', digest)
    assert.equal((await client.send('POST', single, { headers, body: bytes })).status, 201)
  })

  it('`ns`, `origin`, unknown query keys ignored', async () => {
    const repository = fresh()
    const strange = 'ns=docker.io&origin=elsewhere&n=1&digestx=1'
    const started = await client.send('POST', `/v2/${repository}/blobs/uploads/?${strange}`)
    assert.equal(started.status, 202)
    const patched = await client.send('PATCH', `${locationOf(started)}&${strange}`, { body: bytes })
    assert.equal((await close(`${locationOf(patched)}&${strange}`)).status, 201)
    const image = await client.pushImage(repository, 'v', bytes)
    for (const path of [
      `blobs/${digest}`,
      'manifests/v',
      `manifests/${image}`,
      `referrers/${image}`,
      'tags/list',
      '_oci/ext/discover',
    ])
      for (const method of ['GET', 'HEAD'])
        assert.equal(
          (await client.send(method, `/v2/${repository}/${path}?ns=docker.io&origin=x&x=%zz`)).status,
          200,
          path,
        )
  })

  it('query re-ordered and re-encoded', async () => {
    const repository = fresh()
    const next = locationOf(await client.send('PATCH', await client.startUpload(repository), { body: bytes }))
    const url = new URL(next, registry.url)
    const encoded = encodeURIComponent(digest)
    const query = [...url.searchParams].map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    const answer = await client.send('PUT', `${url.pathname}?digest=${encoded}&${query.join('&')}`)
    assert.equal(answer.status, 201)
    await assertThere(repository)
  })
})
