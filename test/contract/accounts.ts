import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { freshTenant, freshUser, newCredential, robotOf } from '../support/account-records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { TestClock } from './metadata.ts'

/** The part of the contract that is about users and robots. */
export function accountContract(opened: () => Metadata, clock: TestClock): void {
  const metadata = () => opened()
  const makeTenant = async () => (await metadata().createTenant({ name: freshTenant() })).name

  async function makeUser(passwordHash: string | null = null) {
    return (await metadata().createAccount({ name: freshUser(), kind: 'user', passwordHash })).name
  }

  describe('accounts', () => {
    it('begin without rights and without a password', async () => {
      const name = freshUser()
      const account = await metadata().createAccount({ name, kind: 'user' })
      assert.deepEqual(account, {
        name,
        kind: 'user',
        tenant: null,
        isAdmin: false,
        isDisabled: false,
        description: '',
        createdAt: new Date(clock.time),
        expiresAt: null,
        lastUsedAt: null,
      })
      assert.deepEqual(await metadata().getAccount(name), account)
      assert.deepEqual(await metadata().findAccount(name), { ...account, passwordHash: null })
    })

    it('keep what they are made with', async () => {
      const tenant = await makeTenant()
      const wanted = {
        name: robotOf(tenant, 'ci.build'),
        kind: 'robot',
        isAdmin: true,
        isDisabled: true,
        description: 'builds \u{1f4a5}',
        expiresAt: new Date(clock.time + 1),
      } as const
      const passwordHash = '$2b$04$hash'
      const account = await metadata().createAccount({ ...wanted, passwordHash })
      assert.deepEqual(account, { ...wanted, tenant, createdAt: new Date(clock.time), lastUsedAt: null })
      assert.deepEqual(await metadata().findAccount(wanted.name), { ...account, passwordHash })
      assert.deepEqual(await metadata().getAccount(wanted.name), account)
    })

    it('have a name, a kind and a tenant that fit each other', async () => {
      const [tenant, other] = [await makeTenant(), await makeTenant()]
      const robot = robotOf(tenant)
      for (const account of [
        { name: robot, kind: 'user' },
        { name: robot, kind: 'robot', tenant: other },
        { name: freshUser(), kind: 'robot' },
        { name: freshUser(), kind: 'robot', tenant },
        { name: freshUser(), kind: 'user', tenant },
        { name: parseAccountName('github/alice'), kind: 'user' },
        { name: freshUser(), kind: 'user', description: '\0' },
      ] as const) {
        const error = await rejectsWith('invalid', metadata().createAccount(account))
        assert.equal(await metadata().findAccount(account.name), undefined, error.message)
      }
    })

    it('are made once', async () => {
      const name = await makeUser('mine')
      const error = await rejectsWith('already_exists', metadata().createAccount({ name, kind: 'user' }))
      assert.deepEqual([error.details.resource, error.details.name], ['account', name])
      assert.equal((await metadata().findAccount(name))?.passwordHash, 'mine')
    })

    it('that do not exist are not found', async () => {
      const name = freshUser()
      assert.equal(await metadata().findAccount(name), undefined)
      for (const attempt of [
        () => metadata().getAccount(name),
        () => metadata().updateAccount(name, { isAdmin: true }),
        () => metadata().updateAccount(name, {}),
        () => metadata().deleteAccount(name),
      ]) {
        const error = await rejectsWith('not_found', attempt())
        assert.deepEqual([error.details.resource, error.details.name], ['account', name])
      }
    })

    it('are changed in what is given', async () => {
      const name = await makeUser('first')
      await metadata().updateAccount(name, { isAdmin: true, expiresAt: new Date(clock.time) })
      const changed = await metadata().updateAccount(name, { isAdmin: false, isDisabled: true })
      assert.deepEqual(await metadata().findAccount(name), { ...changed, passwordHash: 'first' })
      assert.deepEqual(
        [changed.isAdmin, changed.isDisabled, changed.expiresAt],
        [false, true, new Date(clock.time)],
      )
      assert.deepEqual(await metadata().updateAccount(name, {}), changed)
      assert.equal((await metadata().updateAccount(name, { expiresAt: null })).expiresAt, null)
      await rejectsWith('invalid', metadata().updateAccount(name, { description: '\0' }))
    })

    it('are listed in byte order, page by page, of a kind or of a tenant', async () => {
      const tenant = await makeTenant()
      const users = ['zy', 'zx.a', 'zx@a', 'zx-a', 'zx0'].map(parseAccountName)
      const robots = ['b', 'a.b', 'a-b'].map(name => robotOf(tenant, name))
      for (const name of users) await metadata().createAccount({ name, kind: 'user' })
      for (const name of robots) await metadata().createAccount({ name, kind: 'robot' })
      const listed = async (page: Parameters<Metadata['listAccounts']>[0]) =>
        (await metadata().listAccounts(page)).map(({ name }) => name)
      const sorted = users.toSorted()
      assert.deepEqual(await listed({ limit: 9, after: 'zx' }), sorted)
      assert.deepEqual(await listed({ limit: 2, after: 'zx-a' }), sorted.slice(1, 3))
      assert.deepEqual(await listed({ limit: 1, after: 'zx\0' }), sorted.slice(0, 1))
      assert.deepEqual(await listed({ limit: 9, tenant }), robots.toSorted())
      assert.deepEqual(await listed({ limit: 9, tenant, kind: 'user' }), [])
      assert.deepEqual(await listed({ limit: 9, after: 'zx', kind: 'robot' }), [])
      assert.deepEqual(await listed({ limit: 9, after: 'zx', kind: 'user' }), sorted)
    })

    it('end their refresh tokens when they get another password, or none', async () => {
      for (const passwordHash of ['second', null]) {
        const [name, other] = [await makeUser('first'), await makeUser('first')]
        const refresh = await metadata().addCredential(newCredential(name, { kind: 'refresh' }))
        const token = await metadata().addCredential(newCredential(name))
        const others = await metadata().addCredential(newCredential(other, { kind: 'refresh' }))
        await metadata().updateAccount(name, { isAdmin: true })
        assert.equal((await metadata().findCredential(refresh.id))?.revokedAt, null)
        clock.time += 1000
        await metadata().updateAccount(name, { passwordHash })
        assert.deepEqual((await metadata().findCredential(refresh.id))?.revokedAt, new Date(clock.time))
        assert.equal((await metadata().findCredential(token.id))?.revokedAt, null)
        assert.equal((await metadata().findCredential(others.id))?.revokedAt, null)
      }
    })

    it('keep their refresh tokens when the same password gets another hash', async () => {
      const name = await makeUser('first')
      const refresh = await metadata().addCredential(newCredential(name, { kind: 'refresh' }))
      await metadata().rehashPassword(name, 'first', 'second')
      assert.equal((await metadata().findAccount(name))?.passwordHash, 'second')
      await metadata().rehashPassword(name, 'first', 'third')
      assert.equal((await metadata().findAccount(name))?.passwordHash, 'second')
      assert.equal((await metadata().findCredential(refresh.id))?.revokedAt, null)
      await metadata().rehashPassword(freshUser(), 'first', 'second')
    })

    it('are deleted with all that is theirs, and nothing else', async () => {
      const tenant = await makeTenant()
      const [gone, kept] = [await makeUser(), await makeUser()]
      for (const account of [gone, kept]) {
        await metadata().setMember(tenant, account, 'owner')
        await metadata().addGrant({ tenant, subject: account, pattern: '**', actions: ['pull'] })
        await metadata().addCredential(newCredential(account))
        await metadata().addCredential(newCredential(account, { kind: 'refresh' }))
      }
      await metadata().deleteAccount(gone)
      await rejectsWith('not_found', metadata().getAccount(gone))
      assert.deepEqual(await metadata().listMemberships(gone), [])
      assert.deepEqual(await metadata().listCredentials(gone, 'token'), [])
      assert.deepEqual(await metadata().listCredentials(gone, 'refresh'), [])
      assert.deepEqual(
        (await metadata().listGrants(tenant)).map(({ subject }) => subject),
        [kept],
      )
      assert.deepEqual(await metadata().listMemberships(kept), [{ tenant, role: 'owner' }])
      assert.equal((await metadata().listCredentials(kept, 'refresh')).length, 1)
    })

    it('begin without the credentials of somebody else who had their name', async () => {
      const name = freshUser()
      const { id } = await metadata().addCredential(newCredential(name))
      await metadata().createAccount({ name, kind: 'user' })
      assert.equal(await metadata().findCredential(id), undefined)
    })
  })
}
