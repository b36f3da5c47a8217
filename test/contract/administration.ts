import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, before, describe, it } from 'node:test'
import type { Administration } from '../../src/registry/admin/administration.ts'
import { rejectsWith } from '../support/rejects.ts'

export interface OpenedAdministration extends AsyncDisposable {
  /** Of an admin. */
  readonly administration: Administration
  /** The admin's own name; undefined for the system. */
  readonly account: string | undefined
}

/** The executable half of {@link Administration}, for one that may do everything. */
export function administrationContract(name: string, open: () => Promise<OpenedAdministration>): void {
  describe(`${name} as Administration`, () => {
    let opened: OpenedAdministration
    const call: Administration['call'] = (operation, input, options) =>
      opened.administration.call(operation, input, options)
    before(async () => {
      opened = await open()
    })
    after(() => opened[Symbol.asyncDispose]())

    it('makes, shows, changes, lists and deletes tenants', async () => {
      const made = await call('tenant.create', {
        name: 'one',
        quotaBytes: 5 * 1024 ** 4,
        description: 'ä "x"',
      })
      assert.deepEqual(
        { ...made, createdAt: '' },
        {
          name: 'one',
          description: 'ä "x"',
          visibility: 'private',
          quotaBytes: 5 * 1024 ** 4,
          quotaRepositories: null,
          trustPolicy: null,
          createdAt: '',
        },
      )
      assert.ok(!Number.isNaN(new Date(made.createdAt).getTime()))
      await rejectsWith('already_exists', call('tenant.create', { name: 'one' }))
      const changed = await call('tenant.update', { tenant: 'one', visibility: 'public', quotaBytes: null })
      assert.equal(changed.visibility, 'public')
      assert.equal(changed.quotaBytes, null)
      assert.equal(changed.description, 'ä "x"')
      assert.deepEqual(await call('tenant.get', { tenant: 'one' }), changed)
      assert.equal(await call('tenant.delete', { tenant: 'one' }), undefined)
      await rejectsWith('not_found', call('tenant.get', { tenant: 'one' }))
      await rejectsWith('not_found', call('tenant.delete', { tenant: 'one' }))
      await rejectsWith('not_found', call('tenant.update', { tenant: 'one', visibility: 'public' }))
    })

    it('lists in pages, each of which says where the next one begins', async () => {
      for (const letter of ['a', 'b', 'c', 'd', 'e']) await call('tenant.create', { name: `page-${letter}` })
      const seen: string[] = []
      for (let last = 'page-'; ; ) {
        const { items, next } = await call('tenant.list', { n: 2, last })
        seen.push(...items.map(({ name }) => name).filter(name => name.startsWith('page-')))
        if (next === null) break
        assert.equal(next, items.at(-1)?.name)
        last = next
      }
      assert.deepEqual(seen, ['page-a', 'page-b', 'page-c', 'page-d', 'page-e'])
      assert.deepEqual((await call('tenant.list', { n: 0 })).items, [])
    })

    it('makes members of accounts of every kind', async () => {
      await call('tenant.create', { name: 'members' })
      const accounts = ['alice', 'bob@example.com', 'github/octo-org/app:1']
      for (const account of accounts) await call('member.set', { tenant: 'members', account, role: 'guest' })
      await call('member.set', { tenant: 'members', account: 'alice', role: 'owner' })
      const { items } = await call('member.list', { tenant: 'members' })
      assert.deepEqual(
        items.map(({ account, role }) => [account, role]),
        accounts.map(account => [account, account === 'alice' ? 'owner' : 'guest']),
      )
      await call('member.remove', { tenant: 'members', account: 'github/octo-org/app:1' })
      await rejectsWith(
        'not_found',
        call('member.remove', { tenant: 'members', account: 'github/octo-org/app:1' }),
      )
      await rejectsWith(
        'not_found',
        call('member.set', { tenant: 'absent', account: 'alice', role: 'guest' }),
      )
      await rejectsWith('not_found', call('member.list', { tenant: 'absent' }))
    })

    it('adds grants and rules, and takes them away', async () => {
      await call('tenant.create', { name: 'granting' })
      const grant = await call('grant.add', {
        tenant: 'granting',
        subject: '@accounts',
        pattern: 'granting/base-*',
        actions: ['push', 'pull'],
      })
      assert.deepEqual(grant.actions, ['pull', 'push'])
      assert.deepEqual((await call('grant.list', { tenant: 'granting' })).items, [grant])
      await call('grant.remove', { tenant: 'granting', grant: grant.id })
      await rejectsWith('not_found', call('grant.remove', { tenant: 'granting', grant: grant.id }))

      const rule = await call('rule.add', { tenant: 'granting', repositories: 'granting/**', tags: 'v*' })
      assert.deepEqual((await call('rule.list', { tenant: 'granting' })).items, [rule])
      await call('rule.remove', { tenant: 'granting', rule: rule.id })
      await rejectsWith('not_found', call('rule.remove', { tenant: 'granting', rule: rule.id }))
      await rejectsWith('not_found', call('rule.list', { tenant: 'absent' }))
    })

    it('keeps retention policies, shows what they would do, and does it', async () => {
      await call('tenant.create', { name: 'retaining' })
      const tenant = 'retaining'
      const policy = { repositories: ['retaining/**'], rules: [{ tags: ['v*'], keepNewest: 1 }] }
      const added = await call('retention.add', { tenant, policy })
      assert.deepEqual(added.policy['rules'], [
        { tags: ['v*'], except: [], keepNewest: 1, newestBy: 'push', keepAlways: false, dropAlways: false },
      ])
      assert.deepEqual((await call('retention.list', { tenant })).items, [added])
      const own = { ...policy, repositories: ['other/**'] }
      await rejectsWith('invalid', call('retention.add', { tenant, policy: own }))
      const many = {
        ...policy,
        rules: Array.from({ length: 20 }, () => ({
          tags: Array.from({ length: 11 }, () => 'v*'),
          keepNewest: 1,
        })),
      }
      await rejectsWith('conflict', call('retention.add', { tenant, policy: many }))
      await rejectsWith('not_found', call('retention.list', { tenant: 'absent' }))
      await rejectsWith('not_found', call('retention.remove', { tenant, policy: 'absent' }))

      const repository = 'retaining/app'
      assert.deepEqual((await call('retention.plan', { repository })).items, [])
      await rejectsWith('not_found', call('tag.expire', { repository, tag: 'v1', expiresAt: null }))
      const tick = await call('retention.run', {})
      assert.equal(tick.outcome, 'done')
      assert.equal(tick.repositories, 0)
      const status = await call('retention.status', {})
      assert.equal(status.isUnderWay, false)
      assert.ok(status.beganAt !== null && status.nextAt !== null && status.policies === 1)
      await call('retention.remove', { tenant, policy: added.id })
      assert.deepEqual((await call('retention.list', { tenant })).items, [])
    })

    it('sets who may see one repository, be it there or not', async () => {
      await call('tenant.create', { name: 'seen' })
      const repository = 'seen/a/b'
      const own = (visibility: string, isOwn: boolean) => ({
        name: repository,
        tenant: 'seen',
        visibility,
        isOwn,
      })
      assert.deepEqual(await call('repository.get', { repository }), own('private', false))
      assert.deepEqual(
        await call('repository.set', { repository, visibility: 'public' }),
        own('public', true),
      )
      assert.deepEqual(await call('repository.get', { repository }), own('public', true))
      assert.deepEqual(await call('repository.set', { repository, visibility: null }), own('private', false))
      await rejectsWith('not_found', call('repository.set', { repository: 'absent/a', visibility: null }))
    })

    it('makes users with a password of their own, a new one, or none', async () => {
      const { account, password } = await call('user.create', { name: 'carol', isAdmin: true })
      assert.equal(account.name, 'carol')
      assert.equal(account.isAdmin, true)
      assert.match(password ?? '', /^[\w-]{24}$/)
      assert.equal((await call('user.create', { name: 'dan', password: 'long enough' })).password, null)
      assert.equal((await call('user.create', { name: 'eve', password: null })).password, null)
      await rejectsWith('already_exists', call('user.create', { name: 'carol' }))
      const { message } = await rejectsWith(
        'invalid',
        call('user.create', { name: 'fay', password: 'short' }),
      )
      assert.match(message, /fewer than 8/)
      await rejectsWith('not_found', call('user.get', { user: 'fay' }))
      const changed = await call('user.update', {
        user: 'carol',
        isAdmin: false,
        isDisabled: true,
        expiresAt: '2040-01-02T03:04:05+02:00',
      })
      assert.deepEqual(
        [changed.isAdmin, changed.isDisabled, changed.expiresAt],
        [false, true, '2040-01-02T01:04:05.000Z'],
      )
      assert.equal(JSON.stringify(await call('user.list', {})).includes('$2'), false)
      assert.match((await call('user.password', { user: 'dan' })).password ?? '', /^[\w-]{24}$/)
      assert.deepEqual(await call('user.password', { user: 'dan', password: 'another one' }), {
        password: null,
      })
      await rejectsWith('not_found', call('user.password', { user: 'absent', password: 'another one' }))
      await call('user.delete', { user: 'dan' })
      await rejectsWith('not_found', call('user.delete', { user: 'dan' }))
    })

    it('makes robots with their first token, and more tokens', async () => {
      await call('tenant.create', { name: 'robots' })
      const made = await call('robot.create', {
        tenant: 'robots',
        name: 'ci',
        role: 'developer',
        grants: [{ pattern: 'robots/x', actions: ['delete'] }],
        expiresAt: '2040-01-01T00:00:00Z',
      })
      assert.equal(made.account.name, 'robots+ci')
      assert.equal(made.account.tenant, 'robots')
      assert.match(made.token, /^vrv_[a-z0-9]{16}_\w+$/)
      assert.equal((await call('grant.list', { tenant: 'robots' })).items[0]?.subject, 'robots+ci')
      await rejectsWith('already_exists', call('robot.create', { tenant: 'robots', name: 'ci' }))
      await rejectsWith('not_found', call('robot.create', { tenant: 'absent', name: 'ci' }))

      const second = await call('token.create', {
        account: 'robots+ci',
        description: 'second',
        scopes: [{ pattern: 'robots/x', actions: ['pull'] }],
        expiresAt: '2030-01-01T00:00:00Z',
      })
      assert.notEqual(second.token, made.token)
      const { items } = await call('token.list', { account: 'robots+ci' })
      assert.deepEqual(
        new Set(items.map(({ id }) => id)),
        new Set([made.credential.id, second.credential.id]),
      )
      assert.equal(JSON.stringify(items).includes('secret'), false)
      await call('token.revoke', { account: 'robots+ci', token: second.credential.id })
      const revoked = (await call('token.list', { account: 'robots+ci' })).items.find(
        ({ id }) => id === second.credential.id,
      )
      assert.notEqual(revoked?.revokedAt, null)
      await rejectsWith('not_found', call('token.revoke', { account: 'robots+ci', token: 'a'.repeat(16) }))
      await rejectsWith('not_found', call('token.create', { account: 'robots+absent' }))
      const ended = { account: 'robots+ci', expiresAt: '2020-01-01T00:00:00Z' }
      await rejectsWith('invalid', call('token.create', ended))
      assert.equal((await call('robot.list', { tenant: 'robots' })).items.length, 1)
      await call('robot.delete', { tenant: 'robots', robot: 'ci' })
      await rejectsWith('not_found', call('robot.delete', { tenant: 'robots', robot: 'ci' }))
      assert.deepEqual((await call('grant.list', { tenant: 'robots' })).items, [])
    })

    it('leaves nothing behind of a robot that could not be made whole', async () => {
      await call('tenant.create', { name: 'halves' })
      await rejectsWith(
        'invalid',
        call('robot.create', {
          tenant: 'halves',
          name: 'ci',
          grants: [{ pattern: 'other/x', actions: ['pull'] }],
        }),
      )
      assert.deepEqual((await call('robot.list', { tenant: 'halves' })).items, [])
    })

    it('tells usage, the caller, and by which rule access is decided', async () => {
      await call('tenant.create', { name: 'told', quotaRepositories: 3 })
      assert.deepEqual(await call('usage.get', { tenant: 'told' }), {
        bytes: 0,
        uploadingBytes: 0,
        repositories: 0,
        quotaBytes: null,
        quotaRepositories: 3,
      })
      const caller = await call('whoami', {})
      assert.equal(caller.isAdmin, true)
      if (opened.account !== undefined) assert.equal(caller.account, opened.account)

      await call('user.create', { name: 'tom', password: null })
      await call('member.set', { tenant: 'told', account: 'tom', role: 'guest' })
      const ask = (action: 'pull' | 'push', account?: string) =>
        call('access.explain', {
          action,
          repository: 'told/x',
          ...(account === undefined ? {} : { account }),
        })
      assert.deepEqual(await ask('pull', 'tom'), { isAllowed: true, rule: 'tom is a guest of told' })
      assert.deepEqual(await ask('push', 'tom'), { isAllowed: false, rule: 'no rule lets tom push told/x' })
      assert.equal((await ask('pull')).isAllowed, false)
      await call('user.update', { user: 'tom', isDisabled: true })
      assert.deepEqual(await ask('pull', 'tom'), { isAllowed: false, rule: 'tom is disabled' })
      assert.deepEqual(await ask('pull', 'told+absent'), {
        isAllowed: false,
        rule: 'told+absent does not exist',
      })
    })

    it('rotates the keys without telling their private parts', async () => {
      const { items: before } = await call('key.list', {})
      const { items } = await call('key.rotate', {})
      assert.equal(items.length, before.length + 1)
      assert.deepEqual(items.slice(1), before)
      assert.deepEqual(Object.keys(items[0] ?? {}), ['id', 'createdAt'])
    })

    it('answers pages of the audit log', async () => {
      const { items } = await call('audit.list', {
        n: 5,
        target: 'nothing/**',
        since: '2020-01-01T00:00:00Z',
      })
      assert.deepEqual(items, [])
      await call('tenant.create', { name: 'audited' })
      assert.deepEqual((await call('tenant.audit', { tenant: 'audited' })).items, [])
      await rejectsWith('invalid', call('tenant.audit', { tenant: 'audited', repository: 'other/x' }))
      await rejectsWith('invalid', call('audit.list', { last: 'x' }))
    })

    for (const [operation, input, why] of [
      ['tenant.create', { name: 'UPPER' }, /not a tenant's name/],
      ['tenant.create', { name: 'a/b' }, /not a tenant's name/],
      ['tenant.create', { name: 'x', colour: 'red' }, /colour is no field of it/],
      ['tenant.create', { name: 'x', quotaBytes: -1 }, /quotaBytes/],
      ['tenant.create', { name: 'x', description: 'two\nlines' }, /description/],
      ['tenant.create', { name: 'x', trustPolicy: '{' }, /./],
      ['tenant.get', { tenant: '..' }, /not a tenant's name/],
      ['member.set', { tenant: 'x', account: 'A', role: 'guest' }, /not an account's name/],
      ['member.set', { tenant: 'x', account: 'alice', role: 'king' }, /role/],
      ['user.create', { name: 'acme+ci' }, /not a user's name/],
      ['user.create', { name: 'a/b' }, /not a user's name/],
      ['user.create', { name: 'alice', password: 'x'.repeat(73) }, /bytes/],
      ['user.create', { name: 'long-enough', password: 'long-enough' }, /is the account's name/],
      ['grant.add', { tenant: 'x', subject: 'alice', pattern: 'y/**', actions: ['pull'] }, /begin with x\//],
      ['grant.add', { tenant: 'x', subject: '@admins', pattern: 'x/**', actions: ['pull'] }, /account/],
      ['grant.add', { tenant: 'x', subject: 'alice', pattern: 'x/**', actions: [] }, /actions/],
      ['rule.add', { tenant: 'x', repositories: 'y/**', tags: 'v*' }, /begin with x\//],
      ['token.create', { account: 'alice', expiresAt: 'tomorrow' }, /expiresAt/],
      ['access.explain', { action: 'read', repository: 'a/b' }, /action/],
      ['access.explain', { action: 'pull', repository: '../b' }, /repository name/],
    ] as const)
      it(`refuses ${JSON.stringify(input).slice(0, 60)} for ${operation}`, async () => {
        const unchecked = call as (operation: string, input: object) => Promise<unknown>
        const { message } = await rejectsWith('invalid', unchecked(operation, input))
        assert.match(message, why)
      })

    it('honours a signal, and leaves no listener behind', async () => {
      const controller = new AbortController()
      const { signal } = controller
      await call('tenant.list', {}, { signal })
      assert.equal(getEventListeners(signal, 'abort').length, 0)
      controller.abort()
      await assert.rejects(call('tenant.list', {}, { signal }), { name: 'AbortError' })
    })
  })
}
