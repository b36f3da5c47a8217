import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AccountSource,
  FederatedAccounts,
  type KnownAccount,
  KnownAccounts,
} from '../../../../src/registry/auth/identities/known-accounts.ts'
import { parseAccountName } from '../../../../src/storage/accounts/names.ts'

const [alice, bob] = [parseAccountName('alice'), parseAccountName('bob')]

function sourceOf(...accounts: readonly KnownAccount[]): AccountSource {
  return { find: async name => accounts.find(account => account.name === name) }
}

describe('All accounts', () => {
  const database = sourceOf({ name: alice, isAdmin: false, isActive: false, passwordHash: 'of the database' })
  const file = sourceOf(
    { name: alice, isAdmin: true, isActive: true, passwordHash: 'of the file' },
    { name: bob, isAdmin: false, isActive: true, passwordHash: 'of the file' },
  )

  it('are those of the first place that knows them: who is disabled there stays so, whatever a file says', async () => {
    const known = new KnownAccounts([database, file], [])
    assert.equal(await known.findActive(alice), undefined)
    const account = await known.find(alice)
    assert.deepEqual([account?.passwordHash, account?.isAdmin], ['of the database', false])
    assert.equal((await known.findActive(bob))?.passwordHash, 'of the file')
  })

  it('that are disabled stay so also when they are named as admins', async () => {
    const known = new KnownAccounts([database, file], ['alice', 'bob'])
    assert.equal(await known.findActive(alice), undefined)
    assert.equal((await known.findActive(bob))?.isAdmin, true)
  })

  it('of OpenID providers are there as long as their provider is', async () => {
    const known = new KnownAccounts([database, new FederatedAccounts(['ci'])], [])
    for (const [name, isKnown] of [
      ['ci/job-1', true],
      ['other/job-1', false],
      ['ci.example/job-1', false],
      ['ci', false],
      ['ci+job', false],
    ] as const)
      assert.equal((await known.findActive(parseAccountName(name))) !== undefined, isKnown, name)
  })
})
