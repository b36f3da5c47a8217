import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Caller } from '../../src/registry/auth/access-controller.ts'
import { mountSourceOf } from '../../src/registry/mount-source.ts'
import type { RegistryRequest } from '../../src/registry/request.ts'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import type { BlobSearch } from '../../src/storage/metadata/blob-records.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'

const digest = digestOf(Buffer.from('a layer'))
const { signal } = new AbortController()
const tenants = [parseTenantName('claimed')]

/** What is asked for one mount, in its order. */
async function mount(query: string, caller: Partial<Caller> | undefined, held: readonly string[] = []) {
  const asked: string[] = []
  let search: BlobSearch | undefined
  const records = {
    repositoriesWithBlob: async (_: Digest, limit: number, options?: BlobSearch) => {
      search = options
      asked.push(`at most ${limit}`)
      return held.map(parseRepositoryName)
    },
  }
  const facts = caller && {
    caller: {
      account: parseAccountName('alice'),
      isAdmin: false,
      tenants,
      decide: async (access: { name?: string }) => {
        asked.push(String(access.name))
        return { isAllowed: access.name?.startsWith('mine/') === true, rule: '' }
      },
      ...caller,
    },
  }
  const request = {
    query: new URLSearchParams(query),
    facts: facts ?? {},
    signal,
  } as unknown as RegistryRequest
  return { source: await mountSourceOf(request, digest, records), asked, search }
}

describe('The source of a mount', () => {
  it('is what `from` says, when the caller may pull from it, and nothing is looked up before', async () => {
    assert.deepEqual(await mount('from=mine/a', {}), {
      source: 'mine/a',
      asked: ['mine/a'],
      search: undefined,
    })
    assert.deepEqual(await mount('from=others/a', {}), {
      source: undefined,
      asked: ['others/a'],
      search: undefined,
    })
  })

  it('is nothing for what is no name', async () => {
    for (const from of ['', '..%2Fa', 'A', 'a%00'])
      assert.deepEqual(await mount(`from=${from}`, {}), { source: undefined, asked: [], search: undefined })
  })

  it('is without `from` the first that the caller may pull from, of some that it has to do with', async () => {
    const { source, asked, search } = await mount('', {}, ['others/a', 'mine/b', 'mine/c'])
    assert.deepEqual([source, asked], ['mine/b', ['at most 20', 'others/a', 'mine/b']])
    assert.deepEqual(search, { viewer: { account: 'alice', tenants }, signal })
    assert.equal((await mount('', {}, ['others/a'])).source, undefined)
    assert.equal((await mount('', {})).source, undefined)
  })

  it('is anything for an administrator', async () => {
    const { search } = await mount('', { isAdmin: true }, ['mine/b'])
    assert.deepEqual(search, { viewer: undefined, signal })
  })

  it('is nothing where it is not known who calls', async () => {
    assert.deepEqual(await mount('from=mine/a', undefined), {
      source: undefined,
      asked: [],
      search: undefined,
    })
  })
})
