import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { type RegistryClient, withQuery } from '../support/registry-client.ts'
import { type DataSet, dataSets, type PushedManifest } from './data-sets.ts'
import { clientOf, type RegistryUnderTest } from './registry-under-test.ts'

export type CheckedReferences = 'blobs' | 'none'

export const checkedReferences: readonly CheckedReferences[] = ['blobs', 'none']

/**
 * What the OCI conformance program is documented to do with its data sets, step by step. It stands in for that
 * program, and proves less: it was written by those whose registry it tests.
 *
 * @param open a registry that checks these references of a manifest.
 */
export function dataSetSuite(
  requireReferences: CheckedReferences,
  open: () => Promise<RegistryUnderTest>,
): void {
  describe(`data sets, when references are checked: ${requireReferences}`, () => {
    let registry: RegistryUnderTest
    let client: RegistryClient
    before(async () => {
      registry = await open()
      client = clientOf(registry)
    })
    after(() => registry[Symbol.asyncDispose]())

    for (const set of dataSets())
      if (!set.isSparse || requireReferences === 'none')
        // All in one repository, one after the other: what one deletes, the next pushes again.
        it(set.name, async () => {
          await pushBlobs(client, set)
          for (const manifest of set.manifests) await pushManifest(client, set, manifest)
          await assertTags(client, set)
          for (const manifest of set.manifests) await assertManifest(client, set, manifest)
          for (const subject of new Set(set.manifests.flatMap(({ subject }) => subject ?? [])))
            await assertReferrers(client, set, subject)
          await deleteAll(client, set)
        })
  })
}

const path = (kind: 'blobs' | 'manifests' | 'referrers', of: string) => `/v2/data/sets/${kind}/${of}`
const tagOf = (set: DataSet, manifest: PushedManifest) => `tag-${set.manifests.indexOf(manifest)}`

async function pushBlobs(client: RegistryClient, { blobs, algorithm }: DataSet): Promise<void> {
  for (const [index, bytes] of blobs.entries()) {
    const digest = digestOf(bytes, algorithm)
    const start = '/v2/data/sets/blobs/uploads/'
    const location = async () => String((await client.send('POST', start)).headers['location'])
    const put =
      index % 3 === 0
        ? await client.send('POST', withQuery(start, 'digest', digest), { body: bytes })
        : index % 3 === 1
          ? await client.send('PUT', withQuery(await location(), 'digest', digest), { body: bytes })
          : await client
              .send('PATCH', await location(), { body: bytes })
              .then(({ headers }) =>
                client.send('PUT', withQuery(String(headers['location']), 'digest', digest)),
              )
    assert.equal(put.status, 201)
    const got = await client.send('GET', String(put.headers['location']))
    assert.deepEqual([got.status, got.bytes], [200, bytes])
  }
}

/** By digest, then under a tag, which may come with the digest; without a length, as the program sends it. */
async function pushManifest(client: RegistryClient, set: DataSet, manifest: PushedManifest): Promise<void> {
  const { digest, bytes, mediaType, subject } = manifest
  const altered = await client.putManifest(
    'data/sets',
    digest,
    Buffer.concat([bytes, Buffer.from('  ')]),
    mediaType,
  )
  assert.deepEqual([altered.status, altered.codes], [400, ['DIGEST_INVALID']])
  const tag = tagOf(set, manifest)
  for (const reference of [digest, set.tagsByParameter ? `${digest}?tag=${tag}` : tag]) {
    const put = await client.send('PUT', path('manifests', reference), {
      headers: { 'content-type': mediaType },
      body: Readable.from([bytes]),
    })
    assert.deepEqual([put.status, put.codes], [201, []])
    assert.equal(put.headers['docker-content-digest'], digest)
    assert.equal(put.headers['oci-subject'], subject)
    assert.equal(put.headers['oci-tag'], reference.includes('?') ? tag : undefined)
    const got = await client.send('GET', String(put.headers['location']))
    assert.deepEqual([got.status, got.headers['content-type'], got.bytes], [200, mediaType, bytes])
  }
}

async function assertTags(client: RegistryClient, set: DataSet): Promise<void> {
  const tags = set.manifests.map(manifest => tagOf(set, manifest)).sort()
  const list = async (query: string) =>
    JSON.parse((await client.send('GET', `/v2/data/sets/tags/list${query}`)).bytes.toString()).tags
  assert.deepEqual(await list(''), tags)
  const middle = Math.floor(tags.length / 2)
  assert.deepEqual(await list(`?last=${tags[middle]}`), tags.slice(middle + 1))
}

async function assertManifest(client: RegistryClient, set: DataSet, manifest: PushedManifest): Promise<void> {
  for (const reference of [manifest.digest, tagOf(set, manifest)])
    for (const method of ['HEAD', 'GET']) {
      const { status, headers, bytes } = await client.send(method, path('manifests', reference))
      assert.equal(status, 200)
      assert.equal(headers['content-type'], manifest.mediaType)
      assert.equal(headers['content-length'], String(manifest.bytes.length))
      assert.equal(headers['docker-content-digest'], manifest.digest)
      assert.deepEqual(bytes, method === 'GET' ? manifest.bytes : Buffer.alloc(0))
    }
}

async function assertReferrers(client: RegistryClient, set: DataSet, subject: Digest): Promise<void> {
  const wanted = set.manifests
    .filter(manifest => manifest.subject === subject)
    .map(({ bytes, mediaType, digest }) => {
      const { artifactType, annotations } = JSON.parse(bytes.toString())
      return { mediaType, digest, size: bytes.length, artifactType, annotations }
    })
  const list = async (query: string) => {
    const { status, headers, bytes } = await client.send('GET', path('referrers', subject) + query)
    assert.deepEqual([status, headers['content-type']], [200, mediaTypes.ociIndex])
    assert.equal(headers['oci-filters-applied'], query === '' ? undefined : 'artifactType')
    return byDigest(JSON.parse(bytes.toString()).manifests)
  }
  assert.deepEqual(await list(''), byDigest(wanted))
  for (const type of new Set(wanted.map(({ artifactType }) => artifactType)))
    assert.deepEqual(
      await list(`?artifactType=${encodeURIComponent(type)}`),
      byDigest(wanted.filter(({ artifactType }) => artifactType === type)),
    )
}

function byDigest<Item extends { readonly digest: string }>(items: readonly Item[]): Item[] {
  return items.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
}

/** Tags, then manifests with the index before its children, then blobs; each is gone at once. */
async function deleteAll(client: RegistryClient, set: DataSet): Promise<void> {
  const remove = async (at: string) => {
    assert.equal((await client.send('DELETE', at)).status, 202, at)
    assert.equal((await client.send('HEAD', at)).status, 404, at)
  }
  for (const manifest of set.manifests) await remove(path('manifests', tagOf(set, manifest)))
  for (const { digest, subject } of set.manifests.toReversed()) {
    await remove(path('manifests', digest))
    if (subject === undefined) continue
    const left = await client.send('GET', path('referrers', subject))
    assert.ok(!left.bytes.toString().includes(digest))
  }
  for (const digest of new Set(set.blobs.map(bytes => digestOf(bytes, set.algorithm))))
    await remove(path('blobs', digest))
}
