import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'

const index = Buffer.from('{"schemaVersion":2,"manifests":[]}')
/** In byte order. */
const tags = [
  '0',
  '1.0',
  'A',
  'B-1',
  'Z',
  '_x',
  'a',
  'a-b',
  'a.b',
  'a_b',
  'ab',
  'latest',
  'z'.repeat(128),
].sort()
const repositories = [
  '0',
  'a',
  'a--b',
  'a-b',
  'a.b',
  'a/b',
  'a/b/c',
  'a0',
  'a_b',
  'b/tags/list',
  'tags',
  'z/manifests',
].sort()

let registry: TestRegistry
let client: RegistryClient

before(async () => {
  registry = await startRegistry()
  client = new RegistryClient(registry.url)
  for (const repository of repositories)
    await client.putManifest(repository, 'latest', index, mediaTypes.ociIndex)
  for (const tag of tags) await client.putManifest('a', tag, index, mediaTypes.ociIndex)
})
after(() => registry.stop())

/** All names, page by page, as a client that follows the links finds them; each page has at most `n`. */
async function walk(path: string, key: string, sizes: readonly number[], last?: string): Promise<string[]> {
  const names: string[] = []
  const start = last === undefined ? '' : `&last=${encodeURIComponent(last)}`
  let next: string | undefined = `${path}?n=${sizes[0]}${start}`
  for (let page = 0; next !== undefined; page++) {
    assert.ok(page < 100, 'the links never end')
    // A client may change its mind about the size of a page.
    const size = sizes[page % sizes.length] ?? 1
    const answer = await client.send('GET', next.replace(/([?&]n=)\d+/, `$1${size}`))
    assert.equal(answer.status, 200)
    const found: unknown = JSON.parse(answer.bytes.toString())[key]
    assert.ok(Array.isArray(found) && found.length <= size)
    assert.ok(
      found.length === size || answer.headers['link'] === undefined,
      'a page is short without being the last',
    )
    names.push(...found)
    next = /^<([^>]+)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1]
    assert.ok(next === undefined || next.startsWith(`${path}?`), 'the link leads elsewhere')
  }
  return names
}

const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 })

for (const [what, path, key, names] of [
  ['tags', '/v2/a/tags/list', 'tags', tags],
  ['repositories', '/v2/_catalog', 'repositories', repositories],
] as const)
  describe(`Pages of ${what}`, () => {
    it('make the whole list together, whatever their sizes', async () => {
      await fc.assert(
        fc.asyncProperty(sizes, async sizes => assert.deepEqual(await walk(path, key, sizes), names)),
        { numRuns: 40 },
      )
    })

    it('begin after any name, whether that exists or not', async () => {
      const last = fc.oneof(fc.constantFrom(...names), fc.stringMatching(/^[a-zA-Z0-9._/-]{1,6}$/))
      await fc.assert(
        fc.asyncProperty(sizes, last, async (sizes, last) =>
          assert.deepEqual(
            await walk(path, key, sizes, last),
            names.filter(name => name > last),
          ),
        ),
        { numRuns: 40 },
      )
    })
  })
