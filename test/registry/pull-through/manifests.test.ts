import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { type PullThroughTest, startPullThrough } from '../../support/pull-through-registry.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'

const start = Date.parse('2026-01-01T00:00:00Z')

describe('manifests of an upstream', { timeout: 60_000 }, () => {
  let stack: AsyncDisposableStack
  let source: RegistryClient
  let upstream: CountedUpstream
  let registry: TestRegistry
  let client: RegistryClient
  let time = start
  beforeEach(async () => {
    time = start
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await startRegistry())
    source = new RegistryClient(url)
    upstream = stack.use(await countUpstream(url))
  })
  afterEach(() => stack.disposeAsync())

  async function serve(settings: object = {}, options: Partial<PullThroughTest> = {}): Promise<void> {
    registry = stack.use(
      await startPullThrough({
        upstreams: [{ name: 'there', registry: upstream.host, prefix: 'up', ...settings }],
        now: () => time,
        // A test decides when somebody has waited for too long.
        patienceMs: 3_600_000,
        ...options,
      }),
    )
    client = new RegistryClient(registry.url)
  }

  const get = (reference: string) => client.send('GET', `/v2/up/a/manifests/${reference}`)
  const head = (reference: string) => client.send('HEAD', `/v2/up/a/manifests/${reference}`)
  const later = (seconds: number) => {
    time += seconds * 1000
  }

  it('come with one HEAD and one GET, and then without asking', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve()
    const first = await get('1')
    assert.equal(first.status, 200)
    assert.equal(first.headers['docker-content-digest'], digest)
    assert.equal(digestOf(first.bytes), digest)
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1', `GET /v2/a/manifests/${digest}`])
    for (const reference of ['1', digest, '1']) assert.equal((await get(reference)).status, 200)
    assert.equal((await head('1')).headers['docker-content-digest'], digest)
    assert.deepEqual(upstream.take(), [])
  })

  it('cost a HEAD when they are not fresh any more, and nothing else while they are the same', async () => {
    await source.pushImage('a', '1', Buffer.from('layer'))
    await serve({ tagFreshSeconds: 60 })
    await get('1')
    upstream.take()
    later(59)
    assert.equal((await get('1')).status, 200)
    assert.deepEqual(upstream.take(), [])
    later(2)
    assert.equal((await get('1')).status, 200)
    assert.equal((await get('1')).status, 200)
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1'])
  })

  it('follow a tag that was moved, and are not fetched again when another tag has brought them', async () => {
    await source.pushImage('a', '1', Buffer.from('one'))
    await serve({ tagFreshSeconds: 60 })
    await get('1')
    const two = await source.pushImage('a', '1', Buffer.from('two'))
    await source.pushImage('a', 'two', Buffer.from('two'))
    later(61)
    upstream.take()
    assert.equal((await get('two')).headers['docker-content-digest'], two)
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/two', `GET /v2/a/manifests/${two}`])
    assert.equal((await get('1')).headers['docker-content-digest'], two)
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1'])
  })

  it('are never fetched for HEAD, which upstream answers', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve()
    const told = await head('1')
    assert.equal(told.status, 200)
    assert.equal(told.headers['docker-content-digest'], digest)
    assert.equal(told.headers['content-type'], mediaTypes.ociManifest)
    const byDigest = await head(digest)
    assert.equal(byDigest.headers['content-length'], told.headers['content-length'])
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1', `HEAD /v2/a/manifests/${digest}`])
    // As docker and containerd do it.
    assert.equal((await get(digest)).status, 200)
    assert.equal((await get('1')).status, 200)
    assert.deepEqual(upstream.take(), [`GET /v2/a/manifests/${digest}`])
  })

  it('are fetched once for all who want them at once', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve()
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => get(i % 2 === 0 ? '1' : digest)))
    assert.ok(answers.every(({ status, bytes }) => status === 200 && digestOf(bytes) === digest))
    assert.deepEqual(upstream.take().sort(), [`GET /v2/a/manifests/${digest}`, 'HEAD /v2/a/manifests/1'])
  })

  it('come to the end when the client has left', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve()
    const asked = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    upstream.answers = async request => {
      if (request.method !== 'GET') return false
      asked.resolve()
      await opened.promise
      return false
    }
    const leaving = new AbortController()
    const left = fetch(`${registry.url}/v2/up/a/manifests/1`, { signal: leaving.signal })
    await asked.promise
    leaving.abort()
    await assert.rejects(left)
    opened.resolve()
    assert.equal((await get(digest)).status, 200)
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1', `GET /v2/a/manifests/${digest}`])
  })

  it('of an index come one by one, as they are asked for', async () => {
    const children = [Buffer.from('x'), Buffer.from('y')].map(layer => manifestOf(Buffer.from('{}'), [layer]))
    for (const [i, layer] of [Buffer.from('x'), Buffer.from('y')].entries())
      await source.pushImage('a', `child${i}`, layer)
    const index = indexOf(children.map(child => [child, mediaTypes.ociManifest]))
    await source.putManifest('a', 'multi', index, mediaTypes.ociIndex)
    await serve()
    assert.deepEqual((await get('multi')).bytes, index)
    upstream.take()
    const [child = Buffer.alloc(0)] = children
    assert.deepEqual((await get(digestOf(child))).bytes, child)
    assert.deepEqual(upstream.take(), [`GET /v2/a/manifests/${digestOf(child)}`])
  })

  for (const status of [429, 500, 503] as const)
    it(`are served as they were last known when upstream answers ${status}, which is left alone for as long as it says`, async () => {
      const digest = await source.pushImage('a', '1', Buffer.from('layer'))
      await serve({ tagFreshSeconds: 60 })
      await get('1')
      await source.pushImage('a', '1', Buffer.from('newer'))
      later(61)
      upstream.answers = (_request, response) => {
        response.writeHead(status, { 'retry-after': '40' }).end()
        return true
      }
      upstream.take()
      for (let i = 0; i < 3; i += 1) {
        const { status: answered, headers } = await get('1')
        assert.equal(answered, 200)
        assert.equal(headers['docker-content-digest'], digest)
        assert.equal(headers['warning'], '110 - "Response is Stale"')
        assert.equal(headers['age'], '61')
      }
      assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1'])
      const unknown = await get('2')
      assert.equal(unknown.status, status === 429 ? 429 : 503)
      assert.ok(Number(unknown.headers['retry-after']) > 30)
      assert.deepEqual(upstream.take(), [])
    })

  it('are known by a tag that a client has only asked HEAD for, when it has then got them by digest', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve({ tagFreshSeconds: 60 })
    for (let i = 0; i < 3; i += 1) {
      assert.equal((await head('1')).headers['docker-content-digest'], digest)
      assert.equal((await get(digest)).status, 200)
    }
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1', `GET /v2/a/manifests/${digest}`])
    later(61)
    upstream.answers = (_request, response) => {
      response.writeHead(429, { 'retry-after': '60' }).end()
      return true
    }
    for (const answer of [await head('1'), await get('1')]) {
      assert.equal(answer.status, 200)
      assert.equal(answer.headers['warning'], '110 - "Response is Stale"')
      assert.equal(answer.headers['docker-content-digest'], digest)
    }
  })

  it('are served as they were last known when upstream is gone, and when it hangs', async () => {
    await source.pushImage('a', '1', Buffer.from('layer'))
    await serve({ tagFreshSeconds: 60 }, { patienceMs: 50 })
    await get('1')
    later(61)
    upstream.answers = () => true
    assert.equal((await get('1')).headers['warning'], '110 - "Response is Stale"')
    await upstream[Symbol.asyncDispose]()
    assert.equal((await get('1')).headers['warning'], '110 - "Response is Stale"')
    assert.equal((await get('2')).status, 503)
  })

  it('have no Age where upstream is known to have another one by now', async () => {
    await source.pushImage('a', '1', Buffer.from('old'))
    await serve({ tagFreshSeconds: 60 })
    const { headers } = await get('1')
    const moved = await source.pushImage('a', '1', Buffer.from('new'))
    later(61)
    upstream.answers = ({ method }, response) => {
      if (method === 'HEAD') return false
      response.writeHead(500).end()
      return true
    }
    assert.equal((await head('1')).headers['docker-content-digest'], moved)
    const stale = await get('1')
    assert.equal(stale.headers['docker-content-digest'], headers['docker-content-digest'])
    assert.equal(stale.headers['warning'], '110 - "Response is Stale"')
    assert.equal(stale.headers['age'], undefined)
  })

  it('and blobs that upstream does not have are asked for once, whoever wants them, for a while', async () => {
    await serve()
    const digest = digestOf(Buffer.from('nowhere'))
    for (const method of ['GET', 'HEAD', 'GET'])
      assert.equal((await client.send(method, `/v2/up/a/blobs/${digest}`)).status, 404)
    assert.deepEqual(upstream.take(), [`GET /v2/a/blobs/${digest}`])
    // Elsewhere it may be.
    assert.equal((await client.send('HEAD', `/v2/up/b/blobs/${digest}`)).status, 404)
    assert.deepEqual(upstream.take(), [`HEAD /v2/b/blobs/${digest}`])
  })

  it('that upstream does not have are remembered as such, for a while', async () => {
    await serve({ absentSeconds: 3600 })
    for (let i = 0; i < 3; i += 1) {
      const { status, codes } = await get('1')
      assert.equal(status, 404)
      assert.deepEqual(codes, ['MANIFEST_UNKNOWN'])
    }
    assert.deepEqual(upstream.take(), ['HEAD /v2/a/manifests/1'])
  })

  for (const keepAbsent of [false, true])
    it(`that upstream has deleted are ${keepAbsent ? 'kept' : 'forgotten'} where that is wished`, async () => {
      await source.pushImage('a', '1', Buffer.from('layer'))
      await serve({ tagFreshSeconds: 60, keepAbsent })
      await get('1')
      await source.send('DELETE', '/v2/a/manifests/1')
      later(61)
      const answer = await get('1')
      assert.equal(answer.status, keepAbsent ? 200 : 404)
      assert.equal(answer.headers['warning'], keepAbsent ? '110 - "Response is Stale"' : undefined)
      const tags = await registry.metadata.listTags('up/a' as never, { limit: 10 })
      assert.deepEqual(tags, keepAbsent ? ['1'] : [])
    })

  for (const status of [401, 403])
    it(`that upstream does not give us (${status}) are not there, and its challenge goes to nobody`, async () => {
      await serve()
      upstream.answers = (_request, response) => {
        response.writeHead(status, { 'www-authenticate': 'Basic realm="there"' }).end()
        return true
      }
      const answer = await get('1')
      assert.equal(answer.status, 404)
      assert.equal(answer.headers['www-authenticate'], undefined)
      assert.ok(!answer.bytes.toString().includes('realm'))
    })

  describe('are never what upstream makes up:', () => {
    const other = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }),
    )
    const lies: Record<string, (digest: string) => CountedUpstream['answers']> = {
      'other bytes than the digest': () => (request, response) => {
        if (request.method === 'HEAD') return false
        response.writeHead(200, { 'content-type': mediaTypes.ociIndex }).end(other)
        return true
      },
      'bytes that are cut off': () => (request, response) => {
        if (request.method === 'HEAD') return false
        response.writeHead(200, { 'content-type': mediaTypes.ociManifest, 'content-length': '1000' })
        response.write('{')
        setImmediate(() => response.destroy())
        return true
      },
      'no end': () => (request, response) => {
        if (request.method === 'HEAD') return false
        response.writeHead(200, { 'content-type': mediaTypes.ociManifest })
        const more = (): boolean => {
          while (response.write(Buffer.alloc(65536, ' ')));
          return response.once('drain', more) !== undefined
        }
        response.on('error', () => {})
        more()
        return true
      },
      'a page for people': () => (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' }).end('<html>welcome</html>')
        return true
      },
      'what is no manifest': digest => (request, response) => {
        const headers = { 'content-type': mediaTypes.ociManifest, 'docker-content-digest': digest }
        response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : 'null')
        return true
      },
    }
    for (const [what, lie] of Object.entries(lies))
      it(what, async () => {
        const digest = await source.pushImage('a', '1', Buffer.from('layer'))
        await serve()
        upstream.answers = lie(digest)
        for (const reference of ['1', digest]) assert.equal((await get(reference)).status, 503, reference)
        await assert.rejects(registry.metadata.listTags('up/a' as never, { limit: 1 }), { code: 'not_found' })
      })
  })

  it('are what the tag names after it was changed between HEAD and GET', async () => {
    const one = await source.pushImage('a', '1', Buffer.from('one'))
    await serve()
    let changed = ''
    upstream.answers = async request => {
      if (request.method !== 'GET' || changed !== '') return false
      changed = await source.pushImage('a', '1', Buffer.from('two'))
      assert.equal((await source.send('DELETE', `/v2/a/manifests/${one}`)).status, 202)
      return false
    }
    assert.equal((await get('1')).headers['docker-content-digest'], changed)
    assert.equal((await get('1')).headers['docker-content-digest'], changed)
    assert.deepEqual(upstream.take(), [
      'HEAD /v2/a/manifests/1',
      `GET /v2/a/manifests/${one}`,
      'GET /v2/a/manifests/1',
    ])
  })

  it('are served and not kept where nothing is', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve({ store: false })
    for (let i = 0; i < 2; i += 1) assert.equal((await get('1')).headers['docker-content-digest'], digest)
    await assert.rejects(registry.metadata.listTags('up/a' as never, { limit: 1 }), { code: 'not_found' })
  })

  it('cannot be pushed there', async () => {
    await serve()
    const body = manifestOf(Buffer.from('{}'), [])
    for (const answer of [
      await client.putManifest('up/a', '1', body),
      await client.send('POST', '/v2/up/a/blobs/uploads/'),
      await client.send('POST', `/v2/up/a/blobs/uploads/?mount=${digestOf(body)}&from=b`),
    ]) {
      assert.equal(answer.status, 403)
      assert.match(answer.bytes.toString(), /copy of there/)
    }
    assert.deepEqual(upstream.take(), [])
    assert.equal((await client.putManifest('up', '1', indexOf([]), mediaTypes.ociIndex)).status, 201)
  })

  it('can be deleted here, and come again', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    await serve()
    await get('1')
    assert.equal((await client.send('DELETE', `/v2/up/a/manifests/${digest}`)).status, 202)
    assert.equal((await get('1')).headers['docker-content-digest'], digest)
  })

  it('and their blobs make a whole image', async () => {
    const layer = Buffer.from('layer')
    await source.pushImage('a', '1', layer)
    await serve()
    await get('1')
    const blob = await client.send('GET', `/v2/up/a/blobs/${digestOf(layer)}`)
    assert.deepEqual(blob.bytes, layer)
    upstream.take()
    assert.deepEqual((await client.send('GET', `/v2/up/a/blobs/${digestOf(layer)}`)).bytes, layer)
    assert.deepEqual(upstream.take(), [])
  })
})
