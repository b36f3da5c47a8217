import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { startRegistry } from '../../support/registry.ts'
import { manifestOf, RegistryClient } from '../../support/registry-client.ts'

describe('lists of an upstream', { timeout: 60_000 }, () => {
  let stack: AsyncDisposableStack
  let source: RegistryClient
  let upstream: CountedUpstream
  let client: RegistryClient
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await startRegistry())
    source = new RegistryClient(url)
    upstream = stack.use(await countUpstream(url))
  })
  afterEach(() => stack.disposeAsync())

  async function serve(settings: object = {}): Promise<void> {
    const upstreams = [{ name: 'there', registry: upstream.host, prefix: 'up', root: true, ...settings }]
    client = new RegistryClient(stack.use(await startPullThrough({ upstreams })).url)
  }

  const away = (): void => {
    upstream.answers = (_request, response) => {
      response.writeHead(503, { 'retry-after': '60' }).end()
      return true
    }
  }

  interface Listed {
    readonly tags: string[]
    readonly manifests: { digest: string; artifactType?: string }[]
  }
  const read = (bytes: Buffer): Listed => JSON.parse(bytes.toString())

  it('of tags are upstream’s, page by page, with Links of ours, and asked for once', async () => {
    for (const tag of ['b', 'a', 'c', 'A', '1']) await source.pushImage('a', tag, Buffer.from(tag))
    await serve()
    const tags: string[] = []
    for (let path: string | undefined = '/v2/up/a/tags/list?n=2'; path !== undefined; ) {
      const { status, bytes, headers } = await client.send('GET', path)
      assert.equal(status, 200)
      tags.push(...read(bytes).tags)
      const [, next] = /^<(\/v2\/up\/a\/tags\/list\?[^>]+)>; rel="next"$/.exec(headers['link'] ?? '') ?? []
      assert.equal(next === undefined, headers['link'] === undefined)
      path = next
    }
    assert.deepEqual(tags, ['1', 'A', 'a', 'b', 'c'])
    const asked = upstream.take()
    assert.equal(asked.length, 1)
    assert.match(asked[0] ?? '', /^GET \/v2\/a\/tags\/list/)
    // Whoever asks at the root is told our name, by which the list goes on.
    const atRoot = await client.send('GET', '/v2/a/tags/list?n=1')
    assert.match(atRoot.headers['link'] ?? '', /^<\/v2\/up\/a\/tags\/list/)
    assert.deepEqual((await client.send('GET', '/v2/up/a/tags/list?n=x')).codes, [
      'PAGINATION_NUMBER_INVALID',
    ])
    assert.deepEqual(read((await client.send('GET', '/v2/up/a/tags/list?last=zz')).bytes).tags, [])
  })

  it('of tags are what is here when upstream cannot be asked, and say so', async () => {
    await source.pushImage('a', '1', Buffer.from('1'))
    await source.pushImage('a', '2', Buffer.from('2'))
    await serve()
    await client.send('GET', '/v2/up/a/manifests/1')
    away()
    const { status, bytes, headers } = await client.send('GET', '/v2/up/a/tags/list')
    assert.equal(status, 200)
    assert.deepEqual(read(bytes).tags, ['1'])
    assert.equal(headers['warning'], '110 - "Response is Stale"')
    assert.equal((await client.send('GET', '/v2/up/b/tags/list')).status, 503)
  })

  it('of tags are not there where the repository is not', async () => {
    await serve()
    for (let i = 0; i < 2; i += 1) {
      const { status, codes } = await client.send('GET', '/v2/up/b/tags/list')
      assert.deepEqual([status, codes], [404, ['NAME_UNKNOWN']])
    }
    assert.equal(upstream.take().length, 1)
  })

  async function pushReferrers(): Promise<{ subject: string; digests: string[] }> {
    const layer = Buffer.from('layer')
    const subject = await source.pushImage('a', '1', layer)
    const image = manifestOf(Buffer.from('{}'), [layer])
    const digests: string[] = []
    for (const artifactType of ['application/vnd.example.sbom', 'application/vnd.example.signature']) {
      const body = manifestOf(Buffer.from('{}'), [layer], {
        artifactType,
        subject: { mediaType: mediaTypes.ociManifest, digest: subject, size: image.length },
      })
      const digest = digestOf(body)
      assert.equal((await source.putManifest('a', digest, body)).status, 201)
      digests.push(digest)
    }
    return { subject, digests: digests.sort() }
  }

  it('of referrers are upstream’s, filtered as asked, and their manifests can be had', async () => {
    const { subject, digests } = await pushReferrers()
    await serve()
    const all = await client.send('GET', `/v2/up/a/referrers/${subject}`)
    assert.equal(all.headers['content-type'], mediaTypes.ociIndex)
    const found = read(all.bytes).manifests.map(({ digest }) => digest)
    assert.deepEqual(found.sort(), digests)
    const type = 'application/vnd.example.sbom'
    const some = await client.send(
      'GET',
      `/v2/up/a/referrers/${subject}?artifactType=${encodeURIComponent(type)}`,
    )
    assert.equal(some.headers['oci-filters-applied'], 'artifactType')
    assert.deepEqual(
      read(some.bytes).manifests.map(({ artifactType }) => artifactType),
      [type],
    )
    assert.equal(upstream.take().length, 1)
    for (const digest of digests)
      assert.equal((await client.send('GET', `/v2/up/a/manifests/${digest}`)).status, 200)
  })

  it('of referrers are what is here when upstream cannot be asked', async () => {
    const { subject, digests } = await pushReferrers()
    await serve({ tagFreshSeconds: 0 })
    const [first = ''] = digests
    await client.send('GET', `/v2/up/a/manifests/${first}`)
    away()
    const { bytes, headers } = await client.send('GET', `/v2/up/a/referrers/${subject}`)
    assert.deepEqual(
      read(bytes).manifests.map(({ digest }) => digest),
      [first],
    )
    assert.equal(headers['warning'], '110 - "Response is Stale"')
  })
})
