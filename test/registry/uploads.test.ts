import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { type Answer, RegistryClient, withQuery } from '../support/registry-client.ts'

const bytes = randomBytes(3000)
const digest = digestOf(bytes)
const sha512 = digestOf(bytes, 'sha512')
const wrong = digestOf(Buffer.from('something else'))
const empty = Buffer.alloc(0)

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
})
after(() => registry.stop())

const newRepository = () => `push/${randomUUID()}`

async function assertPulls(repository: string, of: string = digest, content: Buffer = bytes): Promise<void> {
  const head = await client.send('HEAD', `/v2/${repository}/blobs/${of}`)
  assert.deepEqual([head.status, head.headers['content-length']], [200, String(content.length)])
  assert.deepEqual((await client.send('GET', `/v2/${repository}/blobs/${of}`)).bytes, content)
}

function assertSession(answer: Answer, status: number, repository: string, range: string): string {
  assert.equal(answer.status, status)
  const location = String(answer.headers['location'])
  assert.match(location, new RegExp(`^/v2/${repository}/blobs/uploads/[0-9a-f-]+\\?_state=[\\w.-]+$`))
  assert.equal(answer.headers['range'], range)
  assert.ok(location.includes(String(answer.headers['docker-upload-uuid'])))
  if (status < 400 && status !== 204) assert.equal(answer.headers['content-length'], '0')
  return location
}

function assertCreated(answer: Answer, repository: string, of: string = digest): void {
  assert.deepEqual([answer.status, answer.codes], [201, []])
  assert.equal(answer.headers['location'], `/v2/${repository}/blobs/${of}`)
  assert.equal(answer.headers['docker-content-digest'], of)
  assert.equal(answer.headers['content-length'], '0')
}

const chunk = (from: number, to: number) => ({
  headers: { 'content-range': `${from}-${to - 1}`, 'content-type': 'application/octet-stream' },
  body: bytes.subarray(from, to),
})

describe('pushing a blob in one request', () => {
  for (const [what, content, of] of [
    ['some bytes', bytes, digest],
    ['nothing', empty, digestOf(empty)],
    ['some bytes by sha512', bytes, sha512],
  ] as const)
    it(`of ${what}`, async () => {
      const repository = newRepository()
      const path = `/v2/${repository}/blobs/uploads/?digest=${of}`
      assertCreated(await client.send('POST', path, { body: content }), repository, of)
      await assertPulls(repository, of, content)
    })

  for (const [what, of] of [
    ['does not match', wrong],
    ['is malformed', 'sha256:x'],
    ['has an unknown algorithm', 'md5:d41d8cd98f00b204e9800998ecf8427e'],
  ] as const)
    it(`is refused when the digest ${what}`, async () => {
      const repository = newRepository()
      const answer = await client.send('POST', `/v2/${repository}/blobs/uploads/?digest=${of}`, {
        body: bytes,
      })
      assert.deepEqual([answer.status, answer.codes], [400, ['DIGEST_INVALID']])
      assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404)
    })
})

describe('an upload session', () => {
  it('starts empty, with or without a slash, a type, a hint and strange parameters', async () => {
    const repository = newRepository()
    for (const path of [
      'uploads/',
      'uploads',
      'uploads/?digest-algorithm=sha512',
      'uploads/?ns=x&origin=y',
    ]) {
      const headers = { 'content-type': 'application/json' }
      const answer = await client.send('POST', `/v2/${repository}/blobs/${path}`, { headers })
      assertSession(answer, 202, repository, '0-0')
    }
    const bad = await client.send('POST', `/v2/${repository}/blobs/uploads/?digest-algorithm=md5`)
    assert.deepEqual([bad.status, bad.codes], [400, ['DIGEST_INVALID']])
  })

  for (const [how, of] of [
    ['sha256', digest],
    ['sha512', sha512],
  ] as const) {
    it(`takes a stream, then closes without a body (${how})`, async () => {
      const repository = newRepository()
      const start = await client.startUpload(repository)
      const body = Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)])
      const next = assertSession(await client.send('PATCH', start, { body }), 202, repository, '0-2999')
      assertCreated(await client.send('PUT', withQuery(next, 'digest', of)), repository, of)
      await assertPulls(repository, of)
    })

    it(`takes chunks, the last one in the closing request (${how})`, async () => {
      const repository = newRepository()
      const start = await client.startUpload(repository)
      const second = assertSession(
        await client.send('PATCH', start, chunk(0, 1000)),
        202,
        repository,
        '0-999',
      )
      const third = assertSession(
        await client.send('PATCH', second, chunk(1000, 2000)),
        202,
        repository,
        '0-1999',
      )
      const status = await client.send('GET', withQuery(third, 'digest', of))
      assertSession(status, 204, repository, '0-1999')
      assertCreated(
        await client.send('PUT', withQuery(third, 'digest', of), chunk(2000, 3000)),
        repository,
        of,
      )
      await assertPulls(repository, of)
    })

    it(`takes everything in the closing request (${how})`, async () => {
      const repository = newRepository()
      const start = await client.startUpload(repository)
      assertCreated(await client.send('PUT', withQuery(start, 'digest', of), { body: bytes }), repository, of)
      await assertPulls(repository, of)
    })
  }

  it('refuses a gap, a replay, an overlap and a reversed range, and lives on', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const next = assertSession(await client.send('PATCH', start, chunk(0, 1000)), 202, repository, '0-999')
    for (const call of [chunk(1001, 2000), chunk(0, 1000), chunk(500, 1500)])
      for (const [method, location] of [
        ['PATCH', next],
        ['PUT', withQuery(next, 'digest', digest)],
      ] as const) {
        const answer = await client.send(method, location, call)
        assertSession(answer, 416, repository, '0-999')
        assert.deepEqual(answer.codes, ['RANGE_INVALID'])
      }
    const reversed = { headers: { 'content-range': '5-1' }, body: bytes.subarray(0, 10) }
    assertSession(await client.send('PATCH', next, reversed), 416, repository, '0-999')
    const rest = await client.send('PUT', withQuery(next, 'digest', digest), chunk(1000, 3000))
    assertCreated(rest, repository)
  })

  it('refuses a length that is not that of the range, and a malformed range', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    for (const [range, code] of [
      ['0-9', 'SIZE_INVALID'],
      ['bytes 0-4/5', 'BLOB_UPLOAD_INVALID'],
    ] as const) {
      const call = { headers: { 'content-range': range }, body: bytes.subarray(0, 5) }
      const answer = await client.send('PATCH', start, call)
      assert.deepEqual([answer.status, answer.codes], [400, [code]])
    }
    const chunked = { headers: { 'content-range': '0-9' }, body: Readable.from([bytes.subarray(0, 5)]) }
    const short = await client.send('PATCH', start, chunked)
    assert.deepEqual([short.status, short.codes], [400, ['SIZE_INVALID']])
  })

  it('does not append a body twice that is sent again to the same Location', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    assertSession(await client.send('PATCH', start, { body: bytes }), 202, repository, '0-2999')
    const again = await client.send('PATCH', start, { body: bytes })
    const current = assertSession(again, 416, repository, '0-2999')
    assertSession(
      await client.send('PUT', withQuery(start, 'digest', digest), { body: bytes }),
      416,
      repository,
      '0-2999',
    )
    assertCreated(await client.send('PUT', withQuery(current, 'digest', digest)), repository)
  })

  it('takes a body at an older Location when nothing was written since', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    assertSession(await client.send('PATCH', start, { body: empty }), 202, repository, '0-0')
    assertSession(await client.send('PATCH', start, { body: bytes }), 202, repository, '0-2999')
  })

  it('knows its Location however the query is written, and without any', async () => {
    const repository = newRepository()
    let location = await client.startUpload(repository)
    const rewrites: ((path: string, state: string) => string)[] = [
      (path, state) => `${path}?x=1&_state=${state}`,
      (path, state) =>
        `${path}?_state=${state.replace(/./g, letter => `%${letter.charCodeAt(0).toString(16)}`)}`,
      path => path,
      path => `${path}/`,
      path => `${path}?_state=nonsense`,
    ]
    for (const [index, rewrite] of rewrites.entries()) {
      const [path = '', state = ''] = location.split('?_state=')
      const part = bytes.subarray(index * 100, index * 100 + 100)
      const answer = await client.send('PATCH', rewrite(path, state), { body: part })
      location = assertSession(answer, 202, repository, `0-${index * 100 + 99}`)
    }
    const stale = location
    await client.send('PATCH', location, { body: bytes })
    const [path = '', state = ''] = stale.split('?_state=')
    const answer = await client.send('PATCH', `${path}?x=1&_state=${encodeURIComponent(state)}`, {
      body: bytes,
    })
    assert.equal(answer.status, 416)
  })

  it('ignores the range of an empty body', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const { headers } = await client.send('PATCH', start, chunk(0, 3000))
    const close = withQuery(String(headers['location']), 'digest', digest)
    const call = { headers: { 'content-range': '3000-3000', 'content-length': '0' } }
    assertCreated(await client.send('PUT', close, call), repository)
  })

  it('stays when the closing digest is missing or malformed, and ends when it does not match', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const next = String((await client.send('PATCH', start, { body: bytes })).headers['location'])
    for (const location of [
      next,
      withQuery(next, 'digest', 'sha256:x'),
      withQuery(next, 'digest', 'crc:00'),
    ]) {
      const answer = await client.send('PUT', location)
      assert.deepEqual([answer.status, answer.codes], [400, ['DIGEST_INVALID']])
    }
    assertSession(await client.send('GET', next), 204, repository, '0-2999')
    const mismatch = await client.send('PUT', withQuery(next, 'digest', wrong))
    assert.deepEqual([mismatch.status, mismatch.codes], [400, ['DIGEST_INVALID']])
    for (const absent of [digest, wrong])
      assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${absent}`)).status, 404)
    assert.equal((await client.send('GET', next)).status, 404)
  })

  it('may be closed again after it was closed', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const next = String((await client.send('PATCH', start, { body: bytes })).headers['location'])
    for (let attempt = 0; attempt < 3; attempt++)
      assertCreated(await client.send('PUT', withQuery(next, 'digest', digest)), repository)
    const other = await client.send('PUT', withQuery(next, 'digest', wrong))
    assert.deepEqual([other.status, other.codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
    for (const method of ['GET', 'PATCH']) assert.equal((await client.send(method, next)).status, 404, method)
    await assertPulls(repository)
  })

  it('may be closed again with the body that closed it', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const next = String((await client.send('PATCH', start, chunk(0, 1000))).headers['location'])
    const last = { ...chunk(1000, bytes.length) }
    for (let attempt = 0; attempt < 3; attempt++)
      assertCreated(await client.send('PUT', withQuery(next, 'digest', digest), last), repository)
    const other = await client.send('PUT', withQuery(next, 'digest', wrong), last)
    assert.deepEqual([other.status, other.codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
    await assertPulls(repository)
  })

  it('is gone after it was cancelled', async () => {
    const repository = newRepository()
    const start = await client.startUpload(repository)
    const next = String((await client.send('PATCH', start, { body: bytes })).headers['location'])
    const { status, headers } = await client.send('DELETE', next)
    assert.deepEqual([status, headers['content-length']], [204, undefined])
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await client.send(method, next, method === 'PATCH' ? { body: bytes } : {})
      assert.deepEqual([answer.status, answer.codes], [404, ['BLOB_UPLOAD_UNKNOWN']], method)
    }
    const close = await client.send('PUT', withQuery(next, 'digest', digest))
    assert.deepEqual([close.status, close.codes], [404, ['BLOB_UPLOAD_UNKNOWN']])
  })

  it('is of one repository, and unknown ids are of none', async () => {
    const mine = newRepository()
    const start = await client.startUpload(mine)
    for (const path of [
      start.replace(mine, newRepository()),
      `/v2/${mine}/blobs/uploads/${randomUUID()}`,
      `/v2/${mine}/blobs/uploads/no-such-id`,
    ])
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        const answer = await client.send(method, path)
        assert.deepEqual([answer.status, answer.codes], [404, ['BLOB_UPLOAD_UNKNOWN']], `${method} ${path}`)
      }
  })

  it('and another one for the same blob are both acknowledged', async () => {
    const repository = newRepository()
    const locations = await Promise.all([1, 2, 3].map(() => client.startUpload(repository)))
    const answers = await Promise.all(
      locations.map(location => client.send('PUT', withQuery(location, 'digest', digest), { body: bytes })),
    )
    for (const answer of answers) assertCreated(answer, repository)
    await assertPulls(repository)
  })
})

describe('mounting a blob', () => {
  const mount = (repository: string, query: string) =>
    client.send('POST', `/v2/${repository}/blobs/uploads/?${query}`)

  it('links it, without a byte sent', async () => {
    const [from, repository] = [newRepository(), newRepository()]
    await client.pushBlob(from, bytes)
    assertCreated(
      await mount(repository, `mount=${digest}&from=${encodeURIComponent(from)}&digest=x`),
      repository,
    )
    await assertPulls(repository)
  })

  it('links it from wherever it is, without a source', async () => {
    const [from, repository] = [newRepository(), newRepository()]
    await client.pushBlob(from, bytes)
    assertCreated(await mount(repository, `mount=${digest}&origin=elsewhere`), repository)
    await assertPulls(repository)
  })

  for (const [what, query] of [
    ['the source lacks it', `mount=${wrong}&from=push/source`],
    ['the source does not exist', `mount=${digest}&from=push/nowhere`],
    ['no source is given and nobody has it', `mount=${digestOf(Buffer.from('nobody'))}`],
    ['the source is empty', `mount=${digest}&from=`],
    ['the digest is malformed and no source is given', 'mount='],
    ['the source is no name', `mount=${digest}&from=UPPER`],
    ['the digest is malformed', 'mount=sha256:x&from=push/source'],
  ] as const)
    it(`starts a session when ${what}`, async () => {
      await client.pushBlob('push/source', bytes)
      const repository = newRepository()
      const start = assertSession(await mount(repository, query), 202, repository, '0-0')
      assertCreated(await client.send('PUT', withQuery(start, 'digest', digest), { body: bytes }), repository)
    })
})
