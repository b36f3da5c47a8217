import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDomainError } from '../../src/errors.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { freshTenant, freshUser, newCredential, robotOf } from '../support/account-records.ts'
import type { OpenedMetadata, TestClock } from './metadata.ts'

/** What several replicas do at once with tenants, accounts and keys: as if they had come one after another. */
export function accountRaceContract(opened: () => OpenedMetadata, clock: TestClock): void {
  const racer = (index: number): Metadata => (index % 2 === 0 ? opened().metadata : opened().replica)
  const race = <Result>(count: number, run: (metadata: Metadata, index: number) => Promise<Result>) =>
    Promise.all(Array.from({ length: count }, (_, index) => run(racer(index), index)))

  /** `ok`, or the code of the error. */
  const codeOf = (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => 'ok',
      (error: unknown) => {
        if (isDomainError(error)) return error.code
        throw error
      },
    )

  describe('races around accounts', () => {
    it('to make a tenant or an account have one winner', async () => {
      for (let round = 0; round < 3; round++) {
        const [name, user] = [freshTenant(), freshUser()]
        const lost = [...Array<string>(7).fill('already_exists'), 'ok']
        const tenants = await race(8, metadata => codeOf(metadata.createTenant({ name })))
        assert.deepEqual(tenants.toSorted(), lost)
        const users = await race(8, metadata => codeOf(metadata.createAccount({ name: user, kind: 'user' })))
        assert.deepEqual(users.toSorted(), lost)
      }
    })

    it('to add a signing key leave all with the same keys', async () => {
      for (let round = 0; round < 5; round++) {
        const before = await opened().metadata.listSigningKeys()
        const newest = before[0]?.createdAt ?? null
        const sets = await race(8, (metadata, index) =>
          metadata.addSigningKey(
            { id: `${round} ${index} ${freshUser()}`, jwk: '{}', createdAt: new Date(clock.time) },
            newest,
          ),
        )
        for (const keys of sets) assert.deepEqual(keys, sets[0])
        assert.equal(sets[0]?.length, before.length + 1)
      }
    })

    it('of the first signing key leave one', async () => {
      for (let round = 0; round < 5; round++) {
        const all = await opened().metadata.listSigningKeys()
        await opened().metadata.deleteSigningKeys(all.map(({ id }) => id))
        const sets = await race(8, (metadata, index) =>
          metadata.addSigningKey({ id: `first ${index}`, jwk: '{}', createdAt: new Date(clock.time) }, null),
        )
        assert.equal(sets[0]?.length, 1)
        for (const keys of sets) assert.deepEqual(keys, sets[0])
      }
    })

    it('of a revocation with notes of its use, and with what is got by it, end with all revoked', async () => {
      for (let round = 0; round < 5; round++) {
        const account = freshUser()
        const { id } = await opened().metadata.addCredential(newCredential(account))
        const children = await race(8, async (metadata, index) => {
          if (index === 3) await metadata.revokeCredential(account, id)
          await metadata.noteUses([{ account, credential: id, at: new Date(clock.time + index) }])
          const child = newCredential(account, { kind: 'refresh', parent: id })
          return (await metadata.addCredential(child)).id
        })
        for (const each of [id, ...children])
          assert.notEqual((await opened().metadata.findCredential(each))?.revokedAt, null)
        const { lastUsedAt } = (await opened().metadata.findCredential(id)) ?? assert.fail()
        assert.deepEqual(lastUsedAt, new Date(clock.time + 7))
      }
    })

    it('of notes about the same accounts are all taken, in whatever order they come', async () => {
      const accounts = Array.from({ length: 20 }, freshUser)
      for (const name of accounts) await opened().metadata.createAccount({ name, kind: 'user' })
      await race(10, (metadata, index) => {
        const order = index % 2 === 0 ? accounts : accounts.toReversed()
        return metadata.noteUses(order.map(account => ({ account, at: new Date(clock.time + index) })))
      })
      for (const name of accounts)
        assert.deepEqual((await opened().metadata.getAccount(name)).lastUsedAt, new Date(clock.time + 9))
    })

    it('of what is added to a tenant with its deletion leave nothing behind', async () => {
      for (let round = 0; round < 10; round++) {
        const { name: tenant } = await opened().metadata.createTenant({ name: freshTenant() })
        const account = freshUser()
        const attempts = [
          (metadata: Metadata) => metadata.deleteTenant(tenant),
          (metadata: Metadata) => metadata.setMember(tenant, account, 'owner'),
          (metadata: Metadata) =>
            metadata.addGrant({ tenant, subject: account, pattern: '**', actions: ['pull'] }),
          (metadata: Metadata) => metadata.createAccount({ name: robotOf(tenant), kind: 'robot' }),
          (metadata: Metadata) =>
            metadata.setRepositoryVisibility(parseRepositoryName(`${tenant}/app`), 'public'),
        ]
        const outcomes = await race(attempts.length, (metadata, index) => {
          // Each is the first at times.
          const attempt = attempts[(index + round) % attempts.length] ?? assert.fail()
          return codeOf(attempt(metadata))
        })
        assert.ok(
          outcomes.every(outcome => ['ok', 'not_found'].includes(outcome)),
          outcomes.join(' '),
        )
        const { metadata } = opened()
        assert.equal(await codeOf(metadata.getTenant(tenant)), 'not_found')
        assert.equal(await metadata.findAccount(robotOf(tenant)), undefined)
        assert.deepEqual(await metadata.listMemberships(account), [])
        await metadata.createTenant({ name: tenant })
        assert.deepEqual(await metadata.listGrants(tenant), [])
        const facts = await metadata.accessFacts(null, parseRepositoryName(`${tenant}/app`))
        assert.equal(facts.repositoryVisibility, undefined)
      }
    })

    it('of two deletions have one winner', async () => {
      const { name: tenant } = await opened().metadata.createTenant({ name: freshTenant() })
      const { name } = await opened().metadata.createAccount({ name: robotOf(tenant), kind: 'robot' })
      const accounts = await race(6, metadata => codeOf(metadata.deleteAccount(name)))
      assert.deepEqual(accounts.toSorted(), [...Array<string>(5).fill('not_found'), 'ok'])
      const tenants = await race(6, metadata => codeOf(metadata.deleteTenant(tenant)))
      assert.deepEqual(tenants.toSorted(), [...Array<string>(5).fill('not_found'), 'ok'])
    })
  })
}
