import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAccountName, parseTenantName } from '../../src/storage/accounts/names.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { type GrantSubject, maxGrants } from '../../src/storage/metadata/tenant-records.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { freshTenant, freshUser, newCredential, robotOf } from '../support/account-records.ts'
import { looseManifest } from '../support/records.ts'
import { rejectsWith } from '../support/rejects.ts'
import type { TestClock } from './metadata.ts'

/** The part of the contract that is about tenants: who belongs to them, and what is allowed in them. */
export function tenantContract(opened: () => Metadata, clock: TestClock): void {
  const metadata = () => opened()
  const makeTenant = async () => (await metadata().createTenant({ name: freshTenant() })).name

  describe('tenants', () => {
    it('are private and without limits unless something else is said', async () => {
      const name = freshTenant()
      const tenant = await metadata().createTenant({ name })
      assert.deepEqual(tenant, {
        name,
        description: '',
        visibility: 'private',
        quotaBytes: null,
        quotaRepositories: null,
        trustPolicy: null,
        createdAt: new Date(clock.time),
      })
      assert.deepEqual(await metadata().getTenant(name), tenant)
    })

    it('keep what they are made with', async () => {
      const wanted = {
        name: freshTenant(),
        description: 'Ümläute \u{1f4a5} and "quotes"',
        visibility: 'public',
        quotaBytes: Number.MAX_SAFE_INTEGER,
        quotaRepositories: 0,
        trustPolicy: '{"any":"json"}',
      } as const
      await metadata().createTenant(wanted)
      assert.deepEqual(await metadata().getTenant(wanted.name), {
        ...wanted,
        createdAt: new Date(clock.time),
      })
    })

    it('are made once', async () => {
      const name = await makeTenant()
      const error = await rejectsWith('already_exists', metadata().createTenant({ name, description: 'x' }))
      assert.deepEqual([error.details.resource, error.details.name], ['tenant', name])
      assert.equal((await metadata().getTenant(name)).description, '')
    })

    it('are changed in what is given', async () => {
      const name = await makeTenant()
      await metadata().updateTenant(name, { quotaBytes: 5, visibility: 'public' })
      const changed = await metadata().updateTenant(name, { quotaBytes: null, description: 'told' })
      const { quotaBytes, visibility, description } = changed
      assert.deepEqual(
        { quotaBytes, visibility, description },
        {
          quotaBytes: null,
          visibility: 'public',
          description: 'told',
        },
      )
      assert.deepEqual(await metadata().updateTenant(name, {}), changed)
      assert.deepEqual(await metadata().getTenant(name), changed)
    })

    it('have no NUL character in their texts', async () => {
      const name = await makeTenant()
      await rejectsWith('invalid', metadata().createTenant({ name: freshTenant(), description: 'a\0' }))
      await rejectsWith('invalid', metadata().updateTenant(name, { trustPolicy: '\0' }))
    })

    it('that do not exist are not found', async () => {
      const name = freshTenant()
      const account = freshUser()
      const attempts = [
        () => metadata().getTenant(name),
        () => metadata().updateTenant(name, { description: 'x' }),
        () => metadata().updateTenant(name, {}),
        () => metadata().deleteTenant(name),
        () => metadata().setMember(name, account, 'guest'),
        () => metadata().listMembers(name, { limit: 1 }),
        () => metadata().addGrant({ tenant: name, subject: account, pattern: '**', actions: ['pull'] }),
        () => metadata().listGrants(name),
        () => metadata().setRepositoryVisibility(parseRepositoryName(`${name}/app`), 'public'),
        () => metadata().setRepositoryVisibility(parseRepositoryName(`${name}/app`), null),
        () => metadata().createAccount({ name: robotOf(name), kind: 'robot' }),
      ]
      for (const attempt of attempts) {
        const error = await rejectsWith('not_found', attempt())
        assert.deepEqual([error.details.resource, error.details.name], ['tenant', name], String(attempt))
      }
    })

    it('are listed in byte order, page by page', async () => {
      const names = ['zz.a', 'zz-a', 'zz_a', 'zz0', 'zza', 'zz'].map(parseTenantName)
      for (const name of names) await metadata().createTenant({ name })
      const listed = async (limit: number, after: string) =>
        (await metadata().listTenants({ limit, after })).map(({ name }) => name)
      const sorted = names.toSorted()
      assert.deepEqual(await listed(9, 'zy'), sorted)
      assert.deepEqual(await listed(2, 'zz-a'), sorted.slice(2, 4))
      assert.deepEqual(await listed(1, 'zz-\0'), ['zz-a'])
    })

    it('with a repository are not deleted; what only begins alike is another’s', async () => {
      for (const path of ['', '/app', '/a/b']) {
        const name = await makeTenant()
        await metadata().putManifest(parseRepositoryName(`${name}${path}`), looseManifest('any'))
        const error = await rejectsWith('conflict', metadata().deleteTenant(name))
        assert.ok(error.message.includes(`${name}${path}`), error.message)
      }
      const name = await makeTenant()
      for (const suffix of ['-labs/app', '.io/app', '0/app', '0'])
        await metadata().putManifest(parseRepositoryName(`${name}${suffix}`), looseManifest('any'))
      await metadata().deleteTenant(name)
    })

    it('are deleted with all that is theirs, and nothing else', async () => {
      const [name, other] = [await makeTenant(), await makeTenant()]
      const [user, robot, kept] = [freshUser(), robotOf(name), robotOf(other)]
      const repository = parseRepositoryName(`${name}/app`)
      for (const [account, tenant] of [
        [robot, name],
        [kept, other],
      ] as const) {
        await metadata().createAccount({ name: account, kind: 'robot', tenant })
        await metadata().addCredential(newCredential(account))
        for (const each of [name, other]) {
          await metadata().setMember(each, account, 'developer')
          await metadata().addGrant({ tenant: each, subject: account, pattern: '**', actions: ['pull'] })
        }
      }
      await metadata().setMember(name, user, 'owner')
      await metadata().setRepositoryVisibility(repository, 'public')
      await metadata().deleteTenant(name)

      await rejectsWith('not_found', metadata().getTenant(name))
      await rejectsWith('not_found', metadata().getAccount(robot))
      assert.deepEqual(await metadata().listCredentials(robot, 'token'), [])
      assert.deepEqual(await metadata().listMemberships(robot), [])
      assert.deepEqual(await metadata().listMemberships(user), [])
      assert.deepEqual(await metadata().listMemberships(kept), [{ tenant: other, role: 'developer' }])
      assert.deepEqual(
        (await metadata().listGrants(other)).map(({ subject }) => subject),
        [kept],
      )
      assert.equal((await metadata().listCredentials(kept, 'token')).length, 1)

      // Who takes the name next takes over nothing.
      await metadata().createTenant({ name })
      assert.deepEqual(await metadata().listMembers(name, { limit: 9 }), [])
      assert.deepEqual(await metadata().listGrants(name), [])
      assert.equal((await metadata().accessFacts(user, repository)).repositoryVisibility, undefined)
    })
  })

  describe('members', () => {
    it('have one role, which can be changed, since they came', async () => {
      const tenant = await makeTenant()
      const account = parseAccountName(`github/${tenant}/app`)
      const since = new Date(clock.time)
      await metadata().setMember(tenant, account, 'guest')
      clock.time += 1000
      await metadata().setMember(tenant, account, 'maintainer')
      assert.deepEqual(await metadata().listMembers(tenant, { limit: 9 }), [
        { account, role: 'maintainer', since },
      ])
      assert.deepEqual(await metadata().listMemberships(account), [{ tenant, role: 'maintainer' }])
      await metadata().removeMember(tenant, account)
      assert.deepEqual(await metadata().listMembers(tenant, { limit: 9 }), [])
      const error = await rejectsWith('not_found', metadata().removeMember(tenant, account))
      assert.deepEqual([error.details.resource, error.details.name], ['account', account])
    })

    it('are listed in byte order, page by page; their tenants, too', async () => {
      const tenants = [await makeTenant(), await makeTenant(), await makeTenant()]
      const [tenant = assert.fail()] = tenants
      const accounts = ['zb', 'z/B', 'z/a', 'z.a', 'z+a', 'z@a', 'za'].map(parseAccountName)
      for (const account of accounts) await metadata().setMember(tenant, account, 'guest')
      const listed = async (limit: number, after?: string) =>
        (await metadata().listMembers(tenant, { limit, after })).map(({ account }) => account)
      const sorted = accounts.toSorted()
      assert.deepEqual(await listed(99), sorted)
      assert.deepEqual(
        await listed(2, 'z/B'),
        sorted.slice(sorted.indexOf(parseAccountName('z/B')) + 1).slice(0, 2),
      )
      assert.deepEqual(await listed(1, 'z+\0'), ['z+a'])
      const user = freshUser()
      for (const each of tenants) await metadata().setMember(each, user, 'guest')
      assert.deepEqual(
        (await metadata().listMemberships(user)).map(membership => membership.tenant),
        tenants.toSorted(),
      )
    })
  })

  describe('grants', () => {
    it('are listed in the order in which they were added, and removed one by one', async () => {
      const tenant = await makeTenant()
      const subjects: GrantSubject[] = ['@everybody', freshUser(), '@accounts', freshUser()]
      for (const [index, subject] of subjects.entries()) {
        const wanted = {
          tenant,
          subject,
          pattern: `${tenant}/${index}/**`,
          actions: ['push', 'pull'],
        } as const
        const grant = await metadata().addGrant(wanted)
        assert.deepEqual(grant, { ...wanted, id: grant.id, createdAt: new Date(clock.time) })
        assert.match(grant.id, /^[a-z0-9]{16}$/)
        assert.deepEqual((await metadata().listGrants(tenant)).at(-1), grant)
      }
      const grants = await metadata().listGrants(tenant)
      assert.deepEqual(
        grants.map(({ subject }) => subject),
        subjects,
      )
      const [first = assert.fail(), ...rest] = grants
      await metadata().removeGrant(tenant, first.id)
      assert.deepEqual(await metadata().listGrants(tenant), rest)
    })

    it('are removed from their own tenant only', async () => {
      const [tenant, other] = [await makeTenant(), await makeTenant()]
      const { id } = await metadata().addGrant({
        tenant,
        subject: '@everybody',
        pattern: '**',
        actions: ['pull'],
      })
      for (const [name, wrong] of [
        [other, id],
        [tenant, `${id}0`],
        [tenant, 'nul \0'],
        [freshTenant(), id],
      ] as const) {
        const error = await rejectsWith('not_found', metadata().removeGrant(name, wrong))
        assert.equal(error.details.resource, 'grant')
      }
      assert.equal((await metadata().listGrants(tenant)).length, 1)
    })

    it('have no NUL character in their pattern, and are not too many', async () => {
      const tenant = await makeTenant()
      const grant = { tenant, subject: '@accounts', pattern: '**', actions: ['pull'] } as const
      await rejectsWith('invalid', metadata().addGrant({ ...grant, pattern: 'a\0' }))
      for (let count = 0; count < maxGrants; count++) await metadata().addGrant(grant)
      await rejectsWith('conflict', metadata().addGrant(grant))
      const [{ id } = assert.fail()] = await metadata().listGrants(tenant)
      await metadata().removeGrant(tenant, id)
      await metadata().addGrant(grant)
    })
  })

  describe('what decides about access', () => {
    it('is all there, in one answer', async () => {
      const tenant = await makeTenant()
      const [account, other] = [freshUser(), freshUser()]
      const repository = parseRepositoryName(`${tenant}/team/app`)
      await metadata().setMember(tenant, account, 'developer')
      await metadata().setMember(tenant, other, 'owner')
      const grants = []
      for (const subject of [account, other, '@accounts', '@everybody'] as const)
        grants.push(
          await metadata().addGrant({
            tenant,
            subject,
            pattern: `${tenant}/**`,
            actions: ['pull', 'delete'],
          }),
        )
      await metadata().updateTenant(tenant, { visibility: 'public' })
      await metadata().setRepositoryVisibility(repository, 'private')
      const [mine, others, accounts, everybody] = grants
      const common = { tenant: { name: tenant, visibility: 'public' }, repositoryVisibility: 'private' }
      assert.deepEqual(await metadata().accessFacts(account, repository), {
        ...common,
        role: 'developer',
        grants: [mine, accounts, everybody],
      })
      assert.deepEqual(await metadata().accessFacts(other, repository), {
        ...common,
        role: 'owner',
        grants: [others, accounts, everybody],
      })
      assert.deepEqual(await metadata().accessFacts(freshUser(), repository), {
        ...common,
        role: undefined,
        grants: [accounts, everybody],
      })
      assert.deepEqual(await metadata().accessFacts(null, repository), {
        ...common,
        role: undefined,
        grants: [everybody],
      })
    })

    it('is the same for a repository that exists and one that does not', async () => {
      const tenant = await makeTenant()
      const account = freshUser()
      await metadata().setMember(tenant, account, 'guest')
      const [there, absent] = ['there', 'absent'].map(name => parseRepositoryName(`${tenant}/${name}`))
      assert.ok(there !== undefined && absent !== undefined)
      await metadata().putManifest(there, looseManifest('any'))
      for (const who of [account, freshUser(), null])
        assert.deepEqual(await metadata().accessFacts(who, there), await metadata().accessFacts(who, absent))
    })

    it('is nothing where there is no tenant, however alike its name is', async () => {
      const tenant = await makeTenant()
      const account = freshUser()
      await metadata().setMember(tenant, account, 'owner')
      for (const name of [`${tenant}-labs/app`, `${tenant}0`, `${tenant}.io/${tenant}`, `x/${tenant}`])
        assert.deepEqual(await metadata().accessFacts(account, parseRepositoryName(name)), {
          tenant: undefined,
          repositoryVisibility: undefined,
          role: undefined,
          grants: [],
        })
      const own = await metadata().accessFacts(account, parseRepositoryName(tenant))
      assert.equal(own.role, 'owner')
    })

    it('has a repository’s own visibility until it is taken back', async () => {
      const tenant = await makeTenant()
      const repository = parseRepositoryName(`${tenant}/app`)
      const visibility = async (name = repository) =>
        (await metadata().accessFacts(null, name)).repositoryVisibility
      assert.equal(await visibility(), undefined)
      await metadata().setRepositoryVisibility(repository, 'public')
      assert.equal(await visibility(), 'public')
      assert.equal(await visibility(parseRepositoryName(`${tenant}/app/x`)), undefined)
      await metadata().setRepositoryVisibility(repository, 'private')
      assert.equal(await visibility(), 'private')
      await metadata().setRepositoryVisibility(repository, null)
      await metadata().setRepositoryVisibility(repository, null)
      assert.equal(await visibility(), undefined)
    })
  })
}
