import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

/** In byte order. */
const tags = ['A', 'Z', '_x', 'a', 'a-1', 'a.b', 'b', 'z']

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  for (const tag of [...tags].reverse()) await client.pushImage('team/app', tag)
  await client.pushImage('team/blobs/uploads', 'x')
  await client.pushBlob('untagged', Buffer.from('{}'))
})
after(() => registry.stop())

async function list(path: string) {
  const { status, headers, bytes, codes } = await client.send('GET', path)
  assert.equal(headers['content-type'], 'application/json')
  return { status, link: headers['link'], codes, body: JSON.parse(bytes.toString()) }
}

describe('listing tags', () => {
  const path = '/v2/team/app/tags/list'

  it('gives all of them in byte order', async () => {
    const { status, body, link } = await list(path)
    assert.deepEqual([status, body, link], [200, { name: 'team/app', tags }, undefined])
  })

  for (const [query, from, to, link] of [
    ['?n=3', 0, 3, `<${path}?last=_x&n=3>; rel="next"`],
    ['?n=3&last=_x', 3, 6, `<${path}?last=a.b&n=3>; rel="next"`],
    ['?n=8', 0, 8, undefined],
    ['?n=4&last=a', 4, 8, undefined],
    ['?n=0', 0, 0, undefined],
    ['?last=a', 4, 8, undefined],
    ['?last=ZZZ', 2, 8, undefined],
    ['?n=99999999&ns=docker.io', 0, 8, undefined],
  ] as const)
    it(query, async () => {
      const answer = await list(path + query)
      assert.deepEqual(answer.body.tags, tags.slice(from, to))
      assert.equal(answer.link, link)
    })

  it('refuses an n that is no number', async () => {
    const { status, codes } = await list(`${path}?n=many`)
    assert.deepEqual([status, codes], [400, ['PAGINATION_NUMBER_INVALID']])
  })

  it('of a repository without tags gives none, and of none NAME_UNKNOWN', async () => {
    assert.deepEqual((await list('/v2/untagged/tags/list')).body, { name: 'untagged', tags: [] })
    const { status, codes } = await list('/v2/nowhere/tags/list')
    assert.deepEqual([status, codes], [404, ['NAME_UNKNOWN']])
    assert.equal((await list('/v2/nowhere/tags/list?n=0')).status, 404)
  })
})

describe('the catalog', () => {
  const repositories = ['team/app', 'team/blobs/uploads', 'untagged']

  it('gives all repositories, and pages', async () => {
    assert.deepEqual((await list('/v2/_catalog')).body, { repositories })
    const first = await list('/v2/_catalog?n=2')
    assert.deepEqual(first.body.repositories, repositories.slice(0, 2))
    assert.equal(first.link, '</v2/_catalog?last=team%2Fblobs%2Fuploads&n=2>; rel="next"')
    const rest = await list('/v2/_catalog?last=team%2Fblobs%2Fuploads&n=2')
    assert.deepEqual([rest.body.repositories, rest.link], [repositories.slice(2), undefined])
  })
})

describe('health', () => {
  it('is told', async () => {
    assert.deepEqual((await list('/livez')).body, { status: 'live' })
    assert.deepEqual((await list('/readyz')).body, { status: 'ready' })
    assert.deepEqual((await list('/v2/')).body, {})
  })
})
