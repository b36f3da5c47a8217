import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { freePort } from '../../support/free-port.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { manifestOf, RegistryClient } from '../../support/registry-client.ts'

const absent = digestOf(Buffer.from('nobody has it'))
const layer = randomBytes(200_000)
/** For which clients are made to wait for one another's blob: more than any test of this file may take. */
const blobFetches = { answerWithinMs: 3_600_000 }

/** Where a registry may be asked for what it does not have. */
const paths = [
  'manifests/latest',
  `manifests/${absent}`,
  `blobs/${absent}`,
  'tags/list',
  `referrers/${absent}`,
] as const

describe('upstreams that lead in a circle', { timeout: 240_000 }, () => {
  let stack: AsyncDisposableStack
  beforeEach(() => {
    stack = new AsyncDisposableStack()
  })
  afterEach(() => stack.disposeAsync())

  interface Place {
    readonly client: RegistryClient
    readonly registry: TestRegistry
    /** Counts what it is asked by the one before it in the circle. */
    readonly door: CountedUpstream
  }

  /** Each is the root of the one before it, the first one that of the last. */
  async function circle(count: number): Promise<Place[]> {
    const ports: number[] = []
    while (ports.length < count) ports.push(await freePort())
    const doors: CountedUpstream[] = []
    for (const port of ports) doors.push(stack.use(await countUpstream(`http://127.0.0.1:${port}`)))
    const places: Place[] = []
    for (const [index, port] of ports.entries()) {
      const door = doors[index] ?? assert.fail()
      const next = doors[(index + 1) % count] ?? assert.fail()
      const upstreams = [{ name: `next-${index}`, registry: next.host, prefix: 'next', root: true }]
      const registry = stack.use(await startPullThrough({ upstreams, port, blobFetches }))
      places.push({ registry, door, client: new RegistryClient(registry.url) })
    }
    return places
  }

  const messageOf = (bytes: Buffer): string =>
    (JSON.parse(bytes.toString()) as { errors: { message: string }[] }).errors[0]?.message ?? ''

  async function refusesAll([first, ...others]: readonly Place[]): Promise<void> {
    assert.ok(first)
    for (const path of paths)
      for (const method of ['GET', 'HEAD'] as const) {
        if (method === 'HEAD' && /^tags|^referrers/.test(path)) continue
        const { status, codes, bytes } = await first.client.send(method, `/v2/team/app/${path}`)
        assert.equal(status, 400, `${method} ${path}: ${bytes.toString()}`)
        if (method === 'HEAD') continue
        assert.deepEqual(codes, ['UNSUPPORTED'], path)
        assert.match(messageOf(bytes), /next-0 is asked in a circle/)
        assert.doesNotMatch(messageOf(bytes), /127\.0\.0\.1:\d+\/v2/)
      }
    for (const { door } of [first, ...others]) {
      // Once round, and no further: a blob is asked for in several ways, one after the other.
      const asked = door.take()
      assert.ok(asked.length <= 3 * paths.length, `${asked.length}: ${asked.join(', ')}`)
    }
  }

  it('one that is its own root is refused at once, whatever it is asked', async () => {
    await refusesAll(await circle(1))
  })

  it('two that are the roots of one another are', async () => {
    await refusesAll(await circle(2))
  })

  it('three in a ring are', async () => {
    await refusesAll(await circle(3))
  })

  it('two that are asked for the same at the same time do not wait for one another', async () => {
    const [a, b] = await circle(2)
    assert.ok(a && b)
    const asks = Array.from({ length: 20 }, (_, index) => {
      const { client } = index % 2 === 0 ? a : b
      return client.send('GET', `/v2/team/app/${paths[index % paths.length]}`)
    })
    for (const { status } of await Promise.all(asks)) assert.equal(status, 400)
    const blobs = Array.from({ length: 8 }, (_, index) =>
      (index % 2 === 0 ? a : b).client.send('GET', `/v2/team/app/blobs/${absent}`),
    )
    for (const { status } of await Promise.all(blobs)) assert.equal(status, 400)
  })

  it('serve what they have, and each what only the other has', async () => {
    const [a, b] = await circle(2)
    assert.ok(a && b)
    // What is at the root by a name of its own is no copy.
    const image = await b.client.pushImage('team/app', 'latest', layer)
    for (const name of ['team/app', 'next/team/app']) {
      const { status, headers } = await a.client.send('GET', `/v2/${name}/manifests/latest`)
      assert.deepEqual([status, headers['docker-content-digest']], [200, image])
      const blob = await a.client.send('GET', `/v2/${name}/blobs/${digestOf(layer)}`)
      assert.deepEqual(blob.bytes, layer)
    }
  })

  it('keep no sockets and no memory of what they have refused', async () => {
    const [a] = await circle(2)
    assert.ok(a)
    const ask = (index: number) =>
      a.client.send('GET', `/v2/team/app/blobs/${digestOf(Buffer.from(`${index}`))}`)
    const round = async (from: number): Promise<void> => {
      for (let index = from; index < from + 200; index += 20)
        await Promise.all(Array.from({ length: 20 }, (_, each) => ask(index + each)))
    }
    const sockets = (): number => process.getActiveResourcesInfo().filter(name => /TCP/.test(name)).length
    await round(0)
    const before = sockets()
    await round(1000)
    await round(2000)
    const reading = (): number =>
      process.getActiveResourcesInfo().filter(name => name === 'FSReqPromise').length
    // What was answered last may still be about to be let go of.
    await eventuallyWithin(60, 'as few sockets as before', () => sockets() <= before + 20)
    await eventuallyWithin(60, 'no file in use', () => reading() === 0)
  })
})

describe('a chain of registries', { timeout: 240_000 }, () => {
  it('of three that ends is no circle: manifests, blobs, referrers, tags, HEAD', async () => {
    await using stack = new AsyncDisposableStack()
    const behind = stack.use(await startRegistry())
    const source = new RegistryClient(behind.url)
    const image = await source.pushImage('team/app', 'v1', layer)
    const signature = manifestOf(Buffer.from('{}'), [], {
      artifactType: 'application/vnd.test.signature',
      subject: {
        mediaType: mediaTypes.ociManifest,
        digest: image,
        size: manifestOf(Buffer.from('{}'), [layer]).length,
      },
    })
    await source.putManifest('team/app', digestOf(signature), signature)
    let last = new URL(behind.url).host
    const chain: RegistryClient[] = []
    for (let index = 0; index < 3; index += 1) {
      const upstreams = [{ name: `behind-${index}`, registry: last, prefix: 'behind', root: true }]
      const { url } = stack.use(await startPullThrough({ upstreams }))
      chain.unshift(new RegistryClient(url))
      last = new URL(url).host
    }
    const [front] = chain
    assert.ok(front)
    const head = await front.send('HEAD', '/v2/team/app/manifests/v1')
    assert.deepEqual([head.status, head.headers['docker-content-digest']], [200, image])
    assert.equal((await front.send('HEAD', `/v2/team/app/blobs/${digestOf(layer)}`)).status, 200)
    // Many at once, and some who ask one in the middle.
    const blobs = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        (chain[index % 3] ?? front).send('GET', `/v2/team/app/blobs/${digestOf(layer)}`),
      ),
    )
    for (const blob of blobs) assert.deepEqual(blob.bytes, layer)
    const manifest = await front.send('GET', '/v2/team/app/manifests/v1')
    assert.equal(digestOf(manifest.bytes), image)
    const tags = await front.send('GET', '/v2/team/app/tags/list')
    assert.match(tags.bytes.toString(), /"v1"/)
    const referrers = await front.send('GET', `/v2/team/app/referrers/${image}`)
    assert.match(referrers.bytes.toString(), new RegExp(digestOf(signature)))
  })

  it('is told of every registry that has passed a request on, and of no proxy', async () => {
    await using stack = new AsyncDisposableStack()
    const behind = stack.use(await countUpstream())
    const seen: (string | undefined)[] = []
    behind.answers = request => {
      seen.push(request.headers.via)
      return false
    }
    const upstreams = [{ name: 'behind', registry: behind.host, prefix: 'up' }]
    const client = new RegistryClient(stack.use(await startPullThrough({ upstreams })).url)
    const other = 'varve-00112233445566ff'
    for (const via of [undefined, `1.1 proxy.example, HTTP/1.1 ${other} (Varve), 2 edge`, 'nonsense,, ,'])
      await client.send('GET', `/v2/up/a/manifests/${via === undefined ? 'x' : 'y'}${seen.length}`, {
        headers: via === undefined ? {} : { via },
      })
    const own = /^1\.1 varve-[0-9a-f]{16}$/
    assert.match(seen[0] ?? '', own)
    assert.equal(seen[1], `1.1 ${other}, ${seen[0]}`)
    assert.equal(seen.at(-1), seen[0])
  })

  it('refuses hops that somebody makes up, to that one and nobody else', async () => {
    await using stack = new AsyncDisposableStack()
    const source = stack.use(await startRegistry())
    const image = await new RegistryClient(source.url).pushImage('team/app', 'v1', layer)
    const door = stack.use(await countUpstream(source.url))
    const middle = stack.use(
      await startPullThrough({
        upstreams: [{ name: 'source', registry: door.host, prefix: 'up', root: true }],
      }),
    )
    let via = ''
    door.answers = request => {
      via = request.headers.via ?? ''
      return false
    }
    const front = stack.use(
      await startPullThrough({
        upstreams: [{ name: 'middle', registry: new URL(middle.url).host, prefix: 'up', root: true }],
      }),
    )
    const client = new RegistryClient(front.url)
    await new RegistryClient(middle.url).send('HEAD', '/v2/team/app/manifests/none')
    const forged = { via }
    assert.match(via, /^1\.1 varve-/)
    const many = Array.from({ length: 9 }, (_, index) => `1.1 varve-${String(index).padStart(16, '0')}`)
    const attacks = [forged, { via: many.join(', ') }, { via: `${via}, `.repeat(300) }]
    for (const path of [`blobs/${digestOf(layer)}`, 'manifests/v1', 'tags/list']) {
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          client.send('GET', `/v2/team/app/${path}`, { headers: attacks[index % 4] ?? {} }),
        ),
      )
      // A blob that upstream has begun to send may be read by anybody.
      for (const [index, { status }] of answers.entries())
        if (index % 4 === 3) assert.equal(status, 200, `${path} ${index}`)
        else assert.ok(status === 508 || (index % 4 === 0 && status === 200), `${path} ${index}: ${status}`)
    }
    const { headers } = await client.send('GET', '/v2/team/app/manifests/v1')
    assert.equal(headers['docker-content-digest'], image)
    const itself = await new RegistryClient(middle.url).send('GET', '/v2/up/team/app/tags/list', {
      headers: { via: `${'x'.repeat(3000)}, ${via}` },
    })
    assert.deepEqual([itself.status, itself.codes], [508, ['UNSUPPORTED']])
  })
})
