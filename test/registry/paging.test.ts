import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../src/errors.ts'
import { listPage, maxPageSize, parsePage } from '../../src/registry/paging.ts'
import type { Page } from '../../src/storage/metadata/page.ts'

function listOf(names: readonly string[]) {
  return async ({ limit, after }: Page) =>
    names.filter(name => after === undefined || name > after).slice(0, limit)
}

const page = (query: string) => parsePage(new URLSearchParams(query))

describe('parsePage', () => {
  it('reads n and last', () => assert.deepEqual(page('n=5&last=a%2Fb'), { size: 5, after: 'a/b' }))
  it('has a default', () => assert.deepEqual(page(''), { size: maxPageSize }))
  it('cuts a large n', () => assert.equal(page(`n=${'9'.repeat(400)}`).size, maxPageSize))
  for (const text of ['n=-1', 'n=a', 'n=', 'n=1.5', 'n=1e3'])
    it(`refuses ${text}`, () =>
      assert.throws(
        () => page(text),
        error => isDomainError(error, 'invalid'),
      ))
})

describe('listPage', () => {
  it('links to the next page when there is one', async () => {
    const { names, headers } = await listPage('/p', { size: 2 }, listOf(['a', 'b', 'c']), {})
    assert.deepEqual(names, ['a', 'b'])
    assert.deepEqual(headers, { Link: '</p?last=b&n=2>; rel="next"' })
  })

  it('does not link from a last page that is exactly full', async () => {
    const { names, headers } = await listPage('/p', { size: 2, after: 'a' }, listOf(['a', 'b', 'c']), {})
    assert.deepEqual([names, headers], [['b', 'c'], {}])
  })

  it('gives nothing and no link for n=0', async () => {
    assert.deepEqual(await listPage('/p', { size: 0 }, listOf(['a']), {}), { names: [], headers: {} })
  })

  it('shows every name once when the links are followed', async () => {
    const namesArbitrary = fc.uniqueArray(fc.stringMatching(/^[a-z0-9/._-]{1,5}$/), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(namesArbitrary, fc.integer({ min: 1, max: 7 }), async (unsorted, size) => {
        const sorted = [...unsorted].sort()
        const seen: string[] = []
        let next: string | undefined = `n=${size}`
        while (next !== undefined) {
          const { names, headers }: Awaited<ReturnType<typeof listPage>> = await listPage(
            '/p',
            page(next),
            listOf(sorted),
            {},
          )
          seen.push(...names)
          next = /^<\/p\?([^>]*)>; rel="next"$/.exec(headers['Link'] ?? '')?.[1]
        }
        assert.deepEqual(seen, sorted)
      }),
    )
  })
})
