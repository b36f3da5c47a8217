import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AccountName, TenantName } from '../../src/storage/accounts/names.ts'
import { parseTenantName } from '../../src/storage/accounts/names.ts'
import { digestOf } from '../../src/storage/digest.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { freshTenant, freshUser } from '../support/account-records.ts'
import { commitText, looseManifest } from '../support/records.ts'
import type { TestClock } from './metadata.ts'

/** Which repositories are looked at for somebody: of the catalog, and of a mount without `from`. */
export function visibleRepositoryContract(opened: () => Metadata, clock: TestClock): void {
  describe('repositories that somebody may see', () => {
    const metadata = () => opened()

    async function listed(account: AccountName | null, tenants?: readonly TenantName[], pageSize = 1000) {
      const names: string[] = []
      for (;;) {
        const page = { limit: pageSize, after: names.at(-1), tenants }
        const found = await metadata().listRepositoriesOf(account, page)
        if (found.length === 0) return names
        names.push(...found)
      }
    }

    /** Those of this test. */
    const of = (names: readonly string[], ...tenants: readonly string[]) =>
      names.filter(name => tenants.includes(name.split('/', 1)[0] ?? ''))

    async function makeTenant(visibility: 'public' | 'private', ...paths: readonly string[]) {
      const name = freshTenant()
      await metadata().createTenant({ name, visibility })
      for (const path of paths)
        await metadata().putManifest(parseRepositoryName(`${name}${path}`), looseManifest('any'))
      return name
    }

    it('are those of public tenants, where it is a member, or where a grant is for it', async () => {
      const open = await makeTenant('public', '/a', '')
      const closed = await makeTenant('private', '/a')
      const joined = await makeTenant('private', '/a', '/b/c')
      const granted = await makeTenant('private', '/a')
      const forAccounts = await makeTenant('private', '/a')
      const forEverybody = await makeTenant('private', '/a')
      const claimed = await makeTenant('private', '/a')
      const all = [open, closed, joined, granted, forAccounts, forEverybody, claimed]
      const account = freshUser()
      await metadata().setMember(joined, account, 'guest')
      for (const [tenant, subject] of [
        [granted, account],
        [forAccounts, '@accounts'],
        [forEverybody, '@everybody'],
      ] as const)
        await metadata().addGrant({ tenant, subject, pattern: '**', actions: ['pull'] })

      const expected = (...tenants: readonly TenantName[]) =>
        [[open, ''], ...all.map(tenant => [tenant, '/a']), [joined, '/b/c']]
          .filter(([tenant]) => tenants.some(each => each === tenant))
          .map(name => name.join(''))
          .toSorted()
      const common = [open, forEverybody, forAccounts]
      assert.deepEqual(of(await listed(null), ...all), expected(open, forEverybody))
      assert.deepEqual(of(await listed(freshUser()), ...all), expected(...common))
      assert.deepEqual(of(await listed(account), ...all), expected(...common, joined, granted))
      assert.deepEqual(
        of(await listed(account, [claimed, joined]), ...all),
        expected(...common, joined, granted, claimed),
      )
      assert.deepEqual(of(await listed(null, [claimed]), ...all), expected(open, forEverybody, claimed))
    })

    it('are single ones that are public, and never what belongs to no tenant', async () => {
      const closed = await makeTenant('private', '/shown', '/shown/deeper', '/hidden')
      await metadata().setRepositoryVisibility(parseRepositoryName(`${closed}/shown`), 'public')
      await metadata().setRepositoryVisibility(parseRepositoryName(`${closed}/absent`), 'public')
      const orphan = freshTenant()
      await metadata().putManifest(parseRepositoryName(`${orphan}/a`), looseManifest('any'))
      const account = freshUser()
      assert.deepEqual(of(await listed(account, [orphan]), closed, orphan), [`${closed}/shown`])
      await metadata().setMember(closed, account, 'guest')
      assert.deepEqual(of(await listed(account), closed), [
        `${closed}/hidden`,
        `${closed}/shown`,
        `${closed}/shown/deeper`,
      ])
    })

    it('come in byte order, whatever their tenants are called, page by page', async () => {
      const stem = freshTenant()
      const tenants = ['', '-labs', '.io', '0', '__x', 'z'].map(suffix => parseTenantName(`${stem}${suffix}`))
      const names: string[] = []
      for (const name of tenants) {
        await metadata().createTenant({ name, visibility: 'public' })
        for (const path of ['', '/a', '/a-b', '/a/b', '/a0']) names.push(`${name}${path}`)
      }
      for (const name of names) await metadata().putManifest(parseRepositoryName(name), looseManifest('any'))
      const sorted = names.toSorted()
      for (const pageSize of [1, 2, 7, 1000])
        assert.deepEqual(of(await listed(null, [], pageSize), ...tenants), sorted, `${pageSize} at a time`)
      for (const after of [`${stem}\0x`, `${stem}-`, `${stem}/a-c`, `${stem}z/zz`]) {
        const page = await metadata().listRepositoriesOf(null, { limit: 1000, after })
        const [end = after] = after.split('\0', 1)
        assert.deepEqual(
          of(page, ...tenants),
          sorted.filter(name => name > end),
        )
      }
    })

    it('are found past many tenants that have none', async () => {
      const [account, tenants] = [freshUser(), Array.from({ length: 150 }, freshTenant).toSorted()]
      for (const name of tenants) {
        await metadata().createTenant({ name })
        await metadata().setMember(name, account, 'guest')
      }
      const [first = assert.fail(), last = assert.fail()] = [tenants[0], tenants.at(-1)]
      for (const tenant of [first, last])
        await metadata().putManifest(parseRepositoryName(`${tenant}/only`), looseManifest('any'))
      assert.deepEqual(of(await listed(account), ...tenants), [`${first}/only`, `${last}/only`])
    })

    it('of one blob are for the caller to choose from', async () => {
      const [mine, others] = [await makeTenant('private'), await makeTenant('private')]
      const account = freshUser()
      await metadata().setMember(mine, account, 'developer')
      const text = `blob of ${mine}`
      const digest = digestOf(Buffer.from(text))
      const names = [`${others}/a`, `${others}/b`, `${mine}/x`, `${mine}/y`, `${mine}`].map(
        parseRepositoryName,
      )
      for (const name of names) await commitText(metadata(), name, text, clock.time)
      await commitText(metadata(), parseRepositoryName(`${mine}/other`), 'another blob', clock.time)

      const sorted: string[] = names.toSorted()
      assert.deepEqual(await metadata().repositoriesWithBlob(digest, 9), sorted)
      assert.deepEqual(await metadata().repositoriesWithBlob(digest, 2), sorted.slice(0, 2))
      const seenBy = (who: AccountName | null, limit = 9, tenants?: readonly TenantName[]) =>
        metadata().repositoriesWithBlob(digest, limit, { viewer: { account: who, tenants } })
      const own = sorted.filter(name => !name.startsWith(others))
      assert.deepEqual(await seenBy(account), own)
      assert.deepEqual(await seenBy(account, 1), own.slice(0, 1))
      assert.deepEqual(await seenBy(null), [])
      assert.deepEqual(await seenBy(freshUser(), 9, [mine]), own)
      await metadata().setRepositoryVisibility(parseRepositoryName(`${others}/b`), 'public')
      assert.deepEqual(await seenBy(null), [`${others}/b`])
      for (const name of [others, mine])
        assert.deepEqual(
          await metadata().repositoriesWithBlob(digest, 9, { below: parseRepositoryName(name) }),
          sorted.filter(one => one.startsWith(`${name}/`)),
        )
      const unknown = digestOf(Buffer.from(`nobody has ${mine}`))
      assert.deepEqual(await metadata().repositoriesWithBlob(unknown, 9), [])
      assert.deepEqual(await metadata().repositoriesWithBlob(unknown, 9, { viewer: { account } }), [])
    })
  })
}
