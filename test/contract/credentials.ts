import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAccountName } from '../../src/storage/accounts/names.ts'
import { rememberedMs, type SigningKey } from '../../src/storage/metadata/account-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { freshTenant, freshUser, newCredential } from '../support/account-records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { TestClock } from './metadata.ts'

/** The part of the contract that is about tokens, and the keys that sign them. */
export function credentialContract(opened: () => Metadata, clock: TestClock): void {
  const metadata = () => opened()
  const idsOf = async (...args: Parameters<Metadata['listCredentials']>) =>
    (await metadata().listCredentials(...args)).map(({ id }) => id)

  describe('credentials', () => {
    it('tell all that they were made with to those who find them, and no secret to those who list them', async () => {
      const account = parseAccountName(`github/octo-org/${freshUser()}`)
      const parent = await metadata().addCredential(newCredential(account))
      const wanted = {
        ...newCredential(account),
        kind: 'refresh',
        description: 'of a laptop',
        scopes: [{ pattern: 'acme/**', actions: ['pull', 'push'] }],
        expiresAt: new Date(clock.time + 1000),
      } as const
      const memberships = [{ tenant: freshTenant(), role: 'developer' }] as const
      const secret = { secretDigest: wanted.secretDigest, stamp: 'stamp', parent: parent.id, memberships }
      const credential = await metadata().addCredential({ ...wanted, ...secret })
      const { secretDigest: _, ...open } = wanted
      assert.deepEqual(credential, {
        ...open,
        createdAt: new Date(clock.time),
        lastUsedAt: null,
        revokedAt: null,
      })
      assert.deepEqual(await metadata().listCredentials(account, 'refresh'), [credential])
      assert.deepEqual(await metadata().findCredential(wanted.id), { ...credential, ...secret })
    })

    it('need no more than a secret', async () => {
      const wanted = newCredential(freshUser())
      await metadata().addCredential(wanted)
      const { description, scopes, expiresAt, stamp, parent, memberships } =
        (await metadata().findCredential(wanted.id)) ?? assert.fail()
      assert.deepEqual(
        { description, scopes, expiresAt, stamp, parent, memberships },
        { description: '', scopes: null, expiresAt: null, stamp: null, parent: null, memberships: [] },
      )
    })

    it('that are unknown are not found, whatever is asked for', async () => {
      const account = freshUser()
      for (const id of ['', 'unknown', 'nul \0', 'x'.repeat(10_000), '%']) {
        assert.equal(await metadata().findCredential(id), undefined)
        const error = await rejectsWith('not_found', metadata().revokeCredential(account, id))
        assert.equal(error.details.resource, 'credential')
      }
    })

    it('have an id of their own, and no NUL character', async () => {
      const wanted = newCredential(freshUser())
      await metadata().addCredential(wanted)
      const again = newCredential(freshUser(), { id: wanted.id })
      await rejectsWith('already_exists', metadata().addCredential(again))
      assert.equal((await metadata().findCredential(wanted.id))?.account, wanted.account)
      for (const change of [{ description: '\0' }, { stamp: '\0' }, { parent: '\0' }])
        await rejectsWith('invalid', metadata().addCredential(newCredential(freshUser(), change)))
    })

    it('are listed newest first, each kind for itself', async () => {
      const account = freshUser()
      const made: Record<'token' | 'refresh', string[]> = { token: [], refresh: [] }
      for (const kind of ['token', 'refresh', 'token', 'refresh', 'token'] as const) {
        clock.time += 1
        made[kind].unshift((await metadata().addCredential(newCredential(account, { kind }))).id)
      }
      assert.deepEqual(await idsOf(account, 'token'), made.token)
      assert.deepEqual(await idsOf(account, 'refresh'), made.refresh)
      assert.deepEqual(await idsOf(freshUser(), 'token'), [])
    })

    it('are revoked by their account, once and for all, with what was got by them', async () => {
      const account = freshUser()
      const add = (change?: Parameters<typeof newCredential>[1]) =>
        metadata().addCredential(newCredential(account, change))
      const token = await add()
      const child = await add({ kind: 'refresh', parent: token.id })
      const other = await add({ kind: 'refresh' })
      await rejectsWith('not_found', metadata().revokeCredential(freshUser(), token.id))
      const revokedAt = new Date(clock.time)
      await metadata().revokeCredential(account, token.id)
      clock.time += 1000
      await metadata().revokeCredential(account, token.id)
      for (const { id } of [token, child])
        assert.deepEqual((await metadata().findCredential(id))?.revokedAt, revokedAt)
      assert.equal((await metadata().findCredential(other.id))?.revokedAt, null)
      const late = await add({ kind: 'refresh', parent: token.id })
      assert.deepEqual(late.revokedAt, new Date(clock.time))
      assert.deepEqual((await metadata().findCredential(late.id))?.revokedAt, new Date(clock.time))
      assert.notEqual((await add({ kind: 'refresh', parent: 'gone' })).revokedAt, null)
    })

    it('are revoked with all that was got by what was got by them, and nothing else', async () => {
      const account = freshUser()
      const add = (parent: string | null, kind: 'token' | 'refresh' = 'token') =>
        metadata().addCredential(newCredential(account, { kind, parent }))
      const first = await add(null)
      const second = await add(first.id)
      const third = await add(second.id)
      const last = await add(third.id, 'refresh')
      const beside = await add(first.id)
      await metadata().revokeCredential(account, second.id)
      for (const { id } of [second, third, last])
        assert.notEqual((await metadata().findCredential(id))?.revokedAt, null)
      for (const { id } of [first, beside])
        assert.equal((await metadata().findCredential(id))?.revokedAt, null)
    })

    it('are listed for a month after they have ended', async () => {
      const account = freshUser()
      const expired = await metadata().addCredential(
        newCredential(account, { expiresAt: new Date(clock.time + 1000) }),
      )
      const revoked = await metadata().addCredential(newCredential(account))
      const lively = await metadata().addCredential(newCredential(account))
      await metadata().revokeCredential(account, revoked.id)
      clock.time += rememberedMs
      assert.equal((await idsOf(account, 'token')).length, 3)
      clock.time += 1
      assert.deepEqual(new Set(await idsOf(account, 'token')), new Set([expired.id, lively.id]))
      clock.time += 1000
      assert.deepEqual(await idsOf(account, 'token'), [lively.id])
      assert.equal((await metadata().findCredential(revoked.id))?.id, revoked.id)
    })

    it('that have ended are forgotten, with what was got by them', async () => {
      await metadata().deleteOldCredentials(new Date(clock.time + 1_000_000))
      const account = freshUser()
      const expiresAt = new Date(clock.time + 1000)
      const old = await Promise.all(
        Array.from({ length: 600 }, () => metadata().addCredential(newCredential(account, { expiresAt }))),
      )
      const child = await metadata().addCredential(
        newCredential(account, { kind: 'token', parent: old[300]?.id ?? null }),
      )
      const grandchild = await metadata().addCredential(
        newCredential(account, { kind: 'refresh', parent: child.id }),
      )
      const revoked = await metadata().addCredential(newCredential(account))
      await metadata().revokeCredential(account, revoked.id)
      const kept = await metadata().addCredential(
        newCredential(account, { expiresAt: new Date(clock.time + 5000) }),
      )
      const lasting = await metadata().addCredential(newCredential(account))
      assert.equal(await metadata().deleteOldCredentials(new Date(clock.time)), 0)
      assert.equal(await metadata().deleteOldCredentials(new Date(clock.time + 1001)), 603)
      assert.equal(await metadata().findCredential(child.id), undefined)
      assert.equal(await metadata().findCredential(grandchild.id), undefined)
      assert.equal(await metadata().findCredential(revoked.id), undefined)
      assert.deepEqual(new Set(await idsOf(account, 'token')), new Set([kept.id, lasting.id]))
    })

    it('that were not used for the longest time make room for new ones, if that is wanted', async () => {
      const account = freshUser()
      const add = (keep?: number, change: Parameters<typeof newCredential>[1] = {}) => {
        clock.time += 1
        return metadata().addCredential(newCredential(account, { kind: 'refresh', ...change }), { keep })
      }
      const token = await add(undefined, { kind: 'token' })
      const made = [await add(), await add(), await add(), await add()]
      const [used] = made
      await metadata().noteUses([
        { account, credential: used?.id, at: new Date(clock.time + 10) },
        { account, credential: token.id, at: new Date(clock.time + 10) },
      ])
      await metadata().addCredential(newCredential(freshUser(), { kind: 'refresh' }), { keep: 1 })
      assert.equal((await idsOf(account, 'refresh')).length, 4)
      const newest = await add(3)
      assert.deepEqual(await idsOf(account, 'refresh'), [newest.id, made[3]?.id, used?.id])
      assert.deepEqual(await idsOf(account, 'token'), [token.id])
      // Those that are added at once do not see each other; the next one sees them.
      await Promise.all(Array.from({ length: 8 }, () => add(3)))
      await add(3)
      assert.equal((await idsOf(account, 'refresh')).length, 3)
      const last = await add(0)
      assert.deepEqual(await idsOf(account, 'refresh'), [last.id])
    })

    it('remember when they were used last, and so do their accounts', async () => {
      const [name, other] = [freshUser(), freshUser()]
      for (const each of [name, other]) await metadata().createAccount({ name: each, kind: 'user' })
      const token = await metadata().addCredential(newCredential(name))
      const unused = await metadata().addCredential(newCredential(name))
      const at = (seconds: number) => new Date(clock.time + seconds * 1000)
      await metadata().noteUses([])
      await metadata().noteUses([
        { account: name, credential: token.id, at: at(2) },
        { account: name, at: at(3) },
        { account: name, credential: token.id, at: at(1) },
        { account: other, at: at(9) },
        { account: freshUser(), credential: 'unknown', at: at(1) },
        { account: name, credential: 'nul \0', at: at(1) },
      ])
      const used = async () => [
        (await metadata().findCredential(token.id))?.lastUsedAt,
        (await metadata().getAccount(name)).lastUsedAt,
        (await metadata().getAccount(other)).lastUsedAt,
        (await metadata().findCredential(unused.id))?.lastUsedAt,
      ]
      assert.deepEqual(await used(), [at(2), at(3), at(9), null])
      await metadata().noteUses([{ account: name, credential: token.id, at: at(1) }])
      assert.deepEqual(await used(), [at(2), at(3), at(9), null])
      await metadata().noteUses([
        { account: other, at: at(10) },
        { account: name, credential: token.id, at: at(4) },
      ])
      assert.deepEqual(await used(), [at(4), at(4), at(10), null])
      await metadata().noteUses(
        Array.from({ length: 1200 }, (_, index) => ({ account: parseAccountName(`u${index}`), at: at(1) })),
      )
    })
  })

  describe('signing keys', () => {
    const key = (id: string, time = clock.time): SigningKey => ({
      id,
      jwk: `{"kid":"${id}"}`,
      createdAt: new Date(time),
    })
    const clear = async () =>
      metadata().deleteSigningKeys((await metadata().listSigningKeys()).map(({ id }) => id))

    it('are added when there is none, or none that is new enough, and told newest first', async () => {
      await clear()
      assert.deepEqual(await metadata().listSigningKeys(), [])
      const [one, two, three] = [key('one'), key('two', clock.time + 10), key('three', clock.time + 20)]
      assert.deepEqual(await metadata().addSigningKey(one, null), [one])
      assert.deepEqual(await metadata().addSigningKey(two, null), [one])
      assert.deepEqual(await metadata().addSigningKey(two, new Date(clock.time - 1)), [one])
      assert.deepEqual(await metadata().addSigningKey(two, new Date(clock.time)), [two, one])
      assert.deepEqual(await metadata().addSigningKey(three, new Date(clock.time + 10)), [three, two, one])
      assert.deepEqual(await metadata().listSigningKeys(), [three, two, one])
      await metadata().deleteSigningKeys(['one', 'absent', 'nul \0'])
      await metadata().deleteSigningKeys([])
      assert.deepEqual(await metadata().listSigningKeys(), [three, two])
    })

    it('are newer than those before, by whatever clock', async () => {
      await clear()
      await metadata().addSigningKey(key('ahead', clock.time + 5000), null)
      for (const id of ['behind', 'further behind'])
        await metadata().addSigningKey(key(id), new Date(clock.time + 10_000))
      assert.deepEqual(await metadata().listSigningKeys(), [
        key('further behind', clock.time + 5002),
        key('behind', clock.time + 5001),
        key('ahead', clock.time + 5000),
      ])
    })

    it('are added again when the newest, or all, have been deleted', async () => {
      await clear()
      const add = (id: string) => metadata().addSigningKey(key(id), new Date(clock.time + 60_000))
      for (const id of ['a', 'b', 'c']) await add(id)
      await metadata().deleteSigningKeys(['c'])
      assert.deepEqual(
        (await add('d')).map(({ id }) => id),
        ['d', 'b', 'a'],
      )
      await clear()
      assert.deepEqual(
        (await add('e')).map(({ id }) => id),
        ['e'],
      )
    })
  })
}
