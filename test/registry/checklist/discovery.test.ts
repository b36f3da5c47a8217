import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { indexOf, manifestOf, RegistryClient } from '../../support/registry-client.ts'

const config = Buffer.from('{}')
const manyTags = Array.from({ length: 1001 }, (_, index) => `t${String(index).padStart(4, '0')}`)

let registry: TestRegistry
let client: RegistryClient
before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  await client.pushBlob('untagged', config)
  for (const repository of ['order', 'many', 'refs']) await client.pushBlob(repository, config)
  const body = manifestOf(config, [])
  const push = (repository: string, tags: readonly string[]) =>
    client.putManifest(repository, `${digestOf(body)}?${tags.map(tag => `tag=${tag}`).join('&')}`, body)
  await push('order', ['b', 'a', 'a-1', 'a.b', 'B', '_', 'a_', 'Z', '0'])
  for (let from = 0; from < manyTags.length; from += 100) await push('many', manyTags.slice(from, from + 100))
})
after(() => registry.stop())

async function tags(query: string, repository = 'many') {
  const { status, codes, bytes, headers } = await client.send('GET', `/v2/${repository}/tags/list${query}`)
  return {
    status,
    codes,
    text: bytes.toString(),
    tags: JSON.parse(bytes.toString()).tags,
    link: headers['link'],
  }
}

describe('checklist: Discovery, tags', () => {
  it('n=0', async () => {
    const { status, tags: listed, link } = await tags('?n=0')
    assert.deepEqual([status, listed, link], [200, [], undefined])
  })

  it('n>max', async () => {
    for (const n of ['1001', '99999999999999999999']) {
      const { tags: listed, link } = await tags(`?n=${n}`)
      assert.deepEqual(listed, manyTags.slice(0, 1000))
      assert.equal(link, '</v2/many/tags/list?last=t0999&n=1000>; rel="next"')
    }
  })

  it('n garbage', async () => {
    for (const n of ['x', '-1', '1.5', '', '0x10', '%20']) {
      const { status, codes } = await tags(`?n=${n}`)
      assert.deepEqual([status, codes], [400, ['PAGINATION_NUMBER_INVALID']], n)
    }
  })

  it('`last` absent in list', async () => {
    assert.deepEqual((await tags('?last=t0997x')).tags, ['t0998', 't0999', 't1000'])
    assert.deepEqual((await tags('?last=zzz')).tags, [])
  })

  it('exact page end', async () => {
    const { tags: listed, link } = await tags('?n=2&last=t0998')
    assert.deepEqual([listed, link], [['t0999', 't1000'], undefined])
  })

  it('byte order with `A-Z_a-z.-`', async () => {
    const { tags: listed } = await tags('', 'order')
    assert.deepEqual(listed, ['0', 'B', 'Z', '_', 'a', 'a-1', 'a.b', 'a_', 'b'])
  })

  it('`tags: []` not null', async () => {
    assert.equal((await tags('', 'untagged')).text, '{"name":"untagged","tags":[]}')
    const { status, codes } = await client.send('GET', '/v2/nowhere/tags/list')
    assert.deepEqual([status, codes], [404, ['NAME_UNKNOWN']])
  })

  it('relative Link', async () => {
    const seen: string[] = []
    let next: string | undefined = '/v2/many/tags/list?n=400'
    while (next !== undefined) {
      const { headers, bytes } = await client.send('GET', next)
      seen.push(...JSON.parse(bytes.toString()).tags)
      const link = headers['link']
      next =
        link === undefined
          ? undefined
          : (/^<(\/v2\/[^>]*)>; rel="next"$/.exec(link)?.[1] ?? assert.fail(link))
    }
    assert.deepEqual(seen, manyTags)
  })
})

interface Descriptor {
  readonly digest: string
  readonly artifactType?: string
  readonly annotations?: Record<string, string>
}

async function referrers(path: string) {
  const { status, headers, bytes } = await client.send('GET', path)
  assert.deepEqual([status, headers['content-type']], [200, mediaTypes.ociIndex])
  const index = JSON.parse(bytes.toString())
  assert.deepEqual([index.schemaVersion, index.mediaType], [2, mediaTypes.ociIndex])
  return {
    manifests: index.manifests as Descriptor[],
    size: bytes.length,
    filters: headers['oci-filters-applied'],
    link: headers['link'],
  }
}

describe('checklist: Discovery, referrers', () => {
  const subjectOf = (text: string) => ({
    mediaType: mediaTypes.ociManifest,
    digest: digestOf(Buffer.from(text)),
    size: 7,
  })
  const refer = async (more: Parameters<typeof manifestOf>[2]) => {
    const body = manifestOf(config, [], more)
    assert.equal((await client.putManifest('refs', digestOf(body), body)).status, 201)
    return digestOf(body)
  }

  it('referrers on unknown repo 200', async () => {
    const subject = digestOf(Buffer.from('never pushed'))
    for (const repository of ['refs', 'never/pushed']) {
      const path = `/v2/${repository}/referrers/${subject}`
      const { manifests, filters, link } = await referrers(path)
      assert.deepEqual([manifests, filters, link], [[], undefined, undefined])
      assert.equal((await client.send('HEAD', path)).status, 200)
    }
    const bad = await client.send('GET', '/v2/refs/referrers/sha256:bad')
    assert.deepEqual([bad.status, bad.codes], [400, ['DIGEST_INVALID']])
  })

  it('filter header only with filter', async () => {
    const subject = subjectOf('filtered')
    const a = await refer({ subject, artifactType: 'text/a+x' })
    const b = await refer({ subject, artifactType: 'text/b' })
    const path = `/v2/refs/referrers/${subject.digest}`
    for (const [query, digests, filters] of [
      ['', [a, b], undefined],
      ['?artifactType=', [a, b], undefined],
      ['?n=1&ns=x&digest=y', [a, b], undefined],
      ['?artifactType=text/a%2Bx', [a], 'artifactType'],
      ['?artifactType=text/b&artifactType=', [b], 'artifactType'],
      ['?artifactType=text/b&artifactType=text%2Fa%2Bx', [a, b], 'artifactType'],
      ['?artifactType=text/c', [], 'artifactType'],
    ] as const) {
      const answer = await referrers(path + query)
      assert.deepEqual(answer.manifests.map(({ digest }) => digest).sort(), [...digests].sort(), query)
      assert.equal(answer.filters, filters, query)
    }
  })

  it('artifactType fallbacks', async () => {
    const subject = subjectOf('fallbacks')
    const own = await refer({ subject, artifactType: 'text/own', annotations: { a: 'b' } })
    const ofConfig = await refer({ subject, artifactType: '' })
    const index = indexOf([], { subject })
    await client.putManifest('refs', digestOf(index), index, mediaTypes.ociIndex)
    const typedIndex = indexOf([], { subject, artifactType: 'text/index' })
    await client.putManifest('refs', digestOf(typedIndex), typedIndex, mediaTypes.ociIndex)
    const { manifests } = await referrers(`/v2/refs/referrers/${subject.digest}`)
    const found = Object.fromEntries(manifests.map(({ digest, ...rest }) => [digest, rest]))
    const size = (digest: string) => (found[digest] as { size?: number } | undefined)?.size
    assert.deepEqual(found, {
      [own]: {
        mediaType: mediaTypes.ociManifest,
        size: size(own),
        artifactType: 'text/own',
        annotations: { a: 'b' },
      },
      [ofConfig]: {
        mediaType: mediaTypes.ociManifest,
        size: size(ofConfig),
        artifactType: mediaTypes.ociConfig,
      },
      [digestOf(index)]: { mediaType: mediaTypes.ociIndex, size: index.length },
      [digestOf(typedIndex)]: {
        mediaType: mediaTypes.ociIndex,
        size: typedIndex.length,
        artifactType: 'text/index',
      },
    })
  })

  it('newest first, and gone at once when deleted', async () => {
    const subject = subjectOf('order')
    const pushed: string[] = []
    for (const text of ['1', '2', '3']) {
      pushed.unshift(await refer({ subject, annotations: { text } }))
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    const path = `/v2/refs/referrers/${subject.digest}`
    const list = async () => (await referrers(path)).manifests.map(({ digest }) => digest)
    assert.deepEqual(await list(), pushed)
    await client.send('DELETE', `/v2/refs/manifests/${pushed[1]}`)
    assert.deepEqual(await list(), [pushed[0], pushed[2]])
  })

  it('paging below 4 MiB', async () => {
    const subject = subjectOf('paged')
    const pushed = new Set<string>()
    for (let index = 0; index < 9; index++)
      pushed.add(
        await refer({ subject, artifactType: 'a/b', annotations: { [`${index}`]: '"'.repeat(500_000) } }),
      )
    const seen: string[] = []
    let next: string | undefined = `/v2/refs/referrers/${subject.digest}?artifactType=a%2Fb`
    let pages = 0
    while (next !== undefined) {
      const { manifests, size, link, filters } = await referrers(next)
      assert.ok(size < 4 * 1024 * 1024)
      assert.equal(filters, 'artifactType')
      seen.push(...manifests.map(({ digest }) => digest))
      next =
        link === undefined
          ? undefined
          : (/^<(\/v2\/[^>]*)>; rel="next"$/.exec(link)?.[1] ?? assert.fail(link))
      pages += 1
    }
    assert.equal(pages, 3)
    assert.equal(seen.length, 9)
    assert.deepEqual(new Set(seen), pushed)
    for (const last of ['x', '1.sha256:x', digestOf(config)]) {
      const { status } = await client.send('GET', `/v2/refs/referrers/${subject.digest}?last=${last}`)
      assert.equal(status, 400, last)
    }
  })
})

describe('checklist: Discovery, extensions', () => {
  it('of the registry and of a repository', async () => {
    for (const [path, names] of [
      ['/v2/_oci/ext/discover', ['_oci', '_catalog']],
      ['/v2/order/_oci/ext/discover', ['_oci']],
    ] as const) {
      const { status, headers, bytes } = await client.send('GET', path)
      assert.deepEqual([status, headers['content-type']], [200, 'application/json'])
      const { extensions } = JSON.parse(bytes.toString())
      assert.deepEqual(
        extensions.map(({ name }: { name: string }) => name),
        names,
      )
      for (const { url, description, endpoints } of extensions) {
        assert.ok(URL.canParse(url) && description.length > 0)
        for (const endpoint of endpoints)
          assert.equal((await client.send('GET', path.replace('_oci/ext/discover', endpoint))).status, 200)
      }
    }
  })

  for (const [path, code] of [
    ['/v2/nowhere/_oci/ext/discover', 'NAME_UNKNOWN'],
    ['/v2/_example/thing/do', 'EXTENSION_UNKNOWN'],
    ['/v2/order/_example/thing/do', 'EXTENSION_UNKNOWN'],
  ] as const)
    it(`${path} is 404 ${code}`, async () => {
      const { status, codes } = await client.send('GET', path)
      assert.deepEqual([status, codes], [404, [code]])
    })
})
