import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isDomainError } from '../../../src/errors.ts'
import {
  type Administration,
  type AdminOperation,
  adminOperations,
  operationNames,
} from '../../../src/registry/admin/administration.ts'
import { permissions } from '../../../src/registry/admin/permissions.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { openTestAdministration, type TestAdministration } from '../../support/administration.ts'
import { identityOf } from '../../support/known-identities.ts'
import { rejectsWith } from '../../support/rejects.ts'

const callers = ['admin', 'owner', 'maintainer', 'developer', 'guest', 'stranger', 'self', 'robot'] as const
type CallerName = (typeof callers)[number]

const members: readonly CallerName[] = ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot']
const maintainers: readonly CallerName[] = ['admin', 'owner', 'maintainer']

/** For every operation an input about the tenant acme, or the account `self`, and who may. */
const table: Readonly<Record<AdminOperation, { input: object; allowed: readonly CallerName[] }>> = {
  'tenant.create': { input: { name: 'new' }, allowed: ['admin'] },
  'tenant.list': { input: {}, allowed: callers },
  'tenant.get': {
    input: { tenant: 'acme' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  'tenant.update': { input: { tenant: 'acme', visibility: 'public' }, allowed: ['admin', 'owner'] },
  'tenant.delete': { input: { tenant: 'acme' }, allowed: ['admin'] },
  'tenant.audit': { input: { tenant: 'acme' }, allowed: ['admin', 'owner'] },
  'member.list': { input: { tenant: 'acme' }, allowed: ['admin', 'owner'] },
  'member.set': { input: { tenant: 'acme', account: 'self', role: 'owner' }, allowed: ['admin', 'owner'] },
  'member.remove': { input: { tenant: 'acme', account: 'guest' }, allowed: ['admin', 'owner'] },
  'grant.list': { input: { tenant: 'acme' }, allowed: ['admin', 'owner'] },
  'grant.add': {
    input: { tenant: 'acme', subject: 'self', pattern: 'acme/**', actions: ['pull'] },
    allowed: ['admin', 'owner'],
  },
  'grant.remove': { input: { tenant: 'acme', grant: 'x' }, allowed: ['admin', 'owner'] },
  'repository.get': {
    input: { repository: 'acme/x' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  'repository.set': { input: { repository: 'acme/x', visibility: 'public' }, allowed: ['admin', 'owner'] },
  'repository.list': { input: { tenant: 'acme' }, allowed: members },
  'repository.show': { input: { repository: 'acme/x' }, allowed: members },
  'repository.delete': { input: { repository: 'acme/x' }, allowed: maintainers },
  'repository.restore': { input: { repository: 'acme/x' }, allowed: maintainers },
  'repository.purge': { input: { repository: 'acme/x' }, allowed: ['admin', 'owner'] },
  'repository.rename': { input: { repository: 'acme/x', name: 'acme/y' }, allowed: ['admin', 'owner'] },
  'rule.list': {
    input: { tenant: 'acme' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  'rule.add': { input: { tenant: 'acme', repositories: 'acme/**', tags: 'v*' }, allowed: ['admin', 'owner'] },
  'rule.remove': { input: { tenant: 'acme', rule: 'x' }, allowed: ['admin', 'owner'] },
  'usage.get': {
    input: { tenant: 'acme' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  whoami: { input: {}, allowed: callers },
  'user.create': { input: { name: 'new', password: null }, allowed: ['admin'] },
  'user.list': { input: {}, allowed: ['admin'] },
  'user.get': { input: { user: 'self' }, allowed: ['admin', 'self'] },
  'user.update': { input: { user: 'self', isAdmin: true }, allowed: ['admin'] },
  'user.delete': { input: { user: 'self' }, allowed: ['admin'] },
  'user.password': {
    input: { user: 'self', password: 'long enough', current: 'self-password' },
    allowed: ['admin', 'self'],
  },
  'robot.create': { input: { tenant: 'acme', name: 'new', role: 'owner' }, allowed: ['admin', 'owner'] },
  'robot.list': { input: { tenant: 'acme' }, allowed: ['admin', 'owner'] },
  'robot.delete': { input: { tenant: 'acme', robot: 'ci' }, allowed: ['admin', 'owner'] },
  'token.create': { input: { account: 'self' }, allowed: ['self'] },
  'token.list': { input: { account: 'self' }, allowed: ['admin', 'self'] },
  'token.revoke': { input: { account: 'self', token: 'x' }, allowed: ['admin', 'self'] },
  'access.explain': {
    input: { account: 'self', action: 'pull', repository: 'acme/x' },
    allowed: ['admin', 'owner', 'self'],
  },
  'audit.list': { input: {}, allowed: ['admin'] },
  'key.list': { input: {}, allowed: ['admin'] },
  'key.rotate': { input: {}, allowed: ['admin'] },
  'mirror.list': { input: {}, allowed: ['admin'] },
  'mirror.get': { input: { job: 'debian' }, allowed: ['admin'] },
  'mirror.put': {
    input: {
      job: 'debian',
      definition: {
        name: 'debian',
        source: { registry: 'quay.io' },
        target: {},
        repositories: ['acme/debian'],
      },
    },
    allowed: ['admin'],
  },
  'mirror.remove': { input: { job: 'debian' }, allowed: ['admin'] },
  'mirror.run': { input: { job: 'debian' }, allowed: ['admin'] },
  'mirror.runs': { input: {}, allowed: ['admin'] },
  'mirror.status': { input: { run: '20300101T000000-000000000000' }, allowed: ['admin'] },
  'backup.list': { input: {}, allowed: ['admin'] },
  'backup.run': { input: {}, allowed: ['admin'] },
  'backup.verify': { input: { backup: '20300131t115959x0123456789ab' }, allowed: ['admin'] },
  'gc.status': { input: {}, allowed: ['admin'] },
  'gc.run': { input: {}, allowed: ['admin'] },
  'gc.explain': { input: { digest: `sha256:${'0'.repeat(64)}` }, allowed: ['admin'] },
  'gc.pause': { input: {}, allowed: ['admin'] },
  'gc.resume': { input: {}, allowed: ['admin'] },
  'tag.list': { input: { repository: 'acme/x' }, allowed: members },
  'tag.history': { input: { repository: 'acme/x', tag: 'v1' }, allowed: members },
  'tag.restore': { input: { repository: 'acme/x', tag: 'v1' }, allowed: maintainers },
  'tag.delete': { input: { repository: 'acme/x', tag: 'v1' }, allowed: maintainers },
  'manifest.deleted': { input: { repository: 'acme/x' }, allowed: members },
  'manifest.restore': {
    input: { repository: 'acme/x', digest: `sha256:${'0'.repeat(64)}` },
    allowed: maintainers,
  },
  'manifest.purge': {
    input: { repository: 'acme/x', digest: `sha256:${'0'.repeat(64)}` },
    allowed: maintainers,
  },
  'retention.list': {
    input: { tenant: 'acme' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  'retention.add': {
    input: { tenant: 'acme', policy: { repositories: ['acme/**'], rules: [{ keepNewest: 3 }] } },
    allowed: ['admin', 'owner', 'maintainer'],
  },
  'retention.remove': {
    input: { tenant: 'acme', policy: 'x' },
    allowed: ['admin', 'owner', 'maintainer'],
  },
  'retention.plan': {
    input: { repository: 'acme/app' },
    allowed: ['admin', 'owner', 'maintainer', 'developer', 'guest', 'robot'],
  },
  'retention.status': { input: {}, allowed: ['admin'] },
  'retention.run': { input: {}, allowed: ['admin'] },
  'tag.expire': {
    input: { repository: 'acme/app', tag: 'v1', expiresAt: null },
    allowed: ['admin', 'owner', 'maintainer'],
  },
  'scrub.status': { input: {}, allowed: ['admin'] },
  'scrub.run': { input: {}, allowed: ['admin'] },
  'scrub.faults': { input: {}, allowed: ['admin'] },
  'scrub.strays': { input: {}, allowed: ['admin'] },
  'mirror.results': { input: { run: '20300101T000000-000000000000' }, allowed: ['admin'] },
}

const ofRobots: readonly { operation: AdminOperation; input: object }[] = [
  { operation: 'token.create', input: { account: 'acme+ci' } },
  { operation: 'token.list', input: { account: 'acme+ci' } },
  { operation: 'token.revoke', input: { account: 'acme+ci', token: 'x' } },
]

/** What the caller is told: `allowed`, or the code of the refusal. What is not there after all was allowed. */
async function outcomeOf(caller: Administration, operation: AdminOperation, input: object): Promise<string> {
  try {
    await (caller.call as (operation: string, input: object) => Promise<unknown>)(operation, input)
    return 'allowed'
  } catch (error) {
    if (!isDomainError(error)) throw error
    if (error.code === 'denied') return 'denied'
    // Of the records, to whoever may: the thing is not there. The refusal has a rule, and they have none.
    return error.code === 'not_found' && error.details.rule !== undefined ? 'hidden' : 'allowed'
  }
}

/** A new one for each operation: what one does must not change who may do the next one. */
async function open(): Promise<TestAdministration & { caller(name: CallerName): Administration }> {
  const identities = { verify: async () => identityOf('self') }
  const opened = await openTestAdministration(identities)
  const { system } = opened
  await system.call('tenant.create', { name: 'acme' })
  await system.call('tenant.create', { name: 'other' })
  for (const role of ['owner', 'maintainer', 'developer', 'guest'] as const)
    await system.call('member.set', { tenant: 'acme', account: role, role })
  await system.call('member.set', { tenant: 'other', account: 'stranger', role: 'owner' })
  for (const name of ['self', 'guest']) await system.call('user.create', { name, password: null })
  await system.call('robot.create', { tenant: 'acme', name: 'ci', role: 'developer' })
  return {
    ...opened,
    caller: name =>
      opened.as(
        identityOf(name === 'robot' ? 'acme+ci' : name, {
          isAdmin: name === 'admin',
          credential: name === 'robot' ? 'token:absent' : 'password',
        }),
      ),
  }
}

describe('The table of permissions', () => {
  let opened: Awaited<ReturnType<typeof open>>
  before(async () => {
    opened = await open()
  })
  after(() => opened[Symbol.asyncDispose]())

  it('has a row for each operation', () => {
    assert.deepEqual(Object.keys(permissions).sort(), [...operationNames].sort())
    assert.deepEqual(Object.keys(table).sort(), [...operationNames].sort())
  })

  for (const operation of operationNames) {
    const { input, allowed } = table[operation]
    for (const name of callers)
      if (!allowed.includes(name))
        it(`${operation} is refused to ${name}`, async () => {
          const outcome = await outcomeOf(opened.caller(name), operation, input)
          const isInTenant = 'tenant' in input || ('repository' in input && operation !== 'access.explain')
          const isOutsider = name === 'stranger' || name === 'self'
          assert.equal(outcome, isInTenant && isOutsider ? 'hidden' : 'denied')
        })
    it(`${operation} is for ${allowed.join(', ')}`, async () => {
      await using fresh = await open()
      for (const name of allowed)
        assert.equal(await outcomeOf(fresh.caller(name), operation, input), 'allowed', name)
    })
    if (operation !== 'whoami')
      it(`${operation} is refused to tokens that are narrowed by scopes`, async () => {
        const scopes = [{ pattern: '**', actions: ['pull', 'push', 'delete'] as const }]
        for (const isAdmin of [true, false]) {
          const narrowed = opened.as(identityOf('owner', { isAdmin, scopes }))
          assert.equal(await outcomeOf(narrowed, operation, input), 'denied')
        }
      })
  }

  for (const { operation, input } of ofRobots)
    it(`${operation} of a robot is for owners of its tenant, admins and the robot`, async () => {
      for (const name of callers) {
        const expected = ['admin', 'owner', 'robot'].includes(name) ? 'allowed' : 'denied'
        assert.equal(await outcomeOf(opened.caller(name), operation, input), expected, name)
      }
    })

  it('lets owners change what is theirs, and quotas only admins', async () => {
    await using fresh = await open()
    for (const field of ['quotaBytes', 'quotaRepositories']) {
      const input = { tenant: 'acme', visibility: 'public', [field]: null }
      assert.equal(await outcomeOf(fresh.caller('owner'), 'tenant.update', input), 'denied')
      assert.equal(await outcomeOf(fresh.caller('admin'), 'tenant.update', input), 'allowed')
    }
    const trustPolicy = null
    assert.equal(
      await outcomeOf(fresh.caller('owner'), 'tenant.update', { tenant: 'acme', trustPolicy }),
      'allowed',
    )
  })

  it('counts the roles that an OpenID provider vouches for', async () => {
    const { memberships } = identityOf('x', {
      memberships: [
        { tenant: (await opened.metadata.getTenant(parseTenantName('acme'))).name, role: 'owner' },
      ],
    })
    const caller = opened.as(identityOf('github/octo', { memberships }))
    assert.equal(await outcomeOf(caller, 'member.list', { tenant: 'acme' }), 'allowed')
    assert.deepEqual(
      (await caller.call('tenant.list', {})).items.map(({ name }) => name),
      ['acme'],
    )
  })

  it('tells an outsider the same of a tenant that is there and of one that is not', async () => {
    const outsider = opened.caller('self')
    const told = async (tenant: string) => {
      const answers: string[] = []
      for (const operation of operationNames) {
        if (!('tenant' in table[operation].input)) continue
        const error = await rejectsWith(
          'not_found',
          (outsider.call as (operation: string, input: object) => Promise<unknown>)(operation, {
            ...table[operation].input,
            tenant,
            ...('pattern' in table[operation].input ? { pattern: `${tenant}/**` } : {}),
          }),
        )
        answers.push(
          `${operation} ${error.message} ${JSON.stringify(error.details)}`.replaceAll(tenant, 'TENANT'),
        )
      }
      return answers
    }
    assert.deepEqual(await told('acme'), await told('absent'))
    assert.ok((await told('acme')).length > 10)
  })
})

describe('Administration by an account', () => {
  let opened: Awaited<ReturnType<typeof open>>
  before(async () => {
    opened = await open()
  })
  after(() => opened[Symbol.asyncDispose]())

  it('lists only the tenants that it is a member of', async () => {
    const names = async (name: CallerName) =>
      (await opened.caller(name).call('tenant.list', {})).items.map(tenant => tenant.name)
    assert.deepEqual(await names('guest'), ['acme'])
    assert.deepEqual(await names('stranger'), ['other'])
    assert.deepEqual(await names('self'), [])
    assert.deepEqual(await names('admin'), ['acme', 'other'])
  })

  it('cannot take the own rights away', async () => {
    await opened.system.call('user.create', { name: 'admin', isAdmin: true, password: null })
    const admin = opened.caller('admin')
    for (const change of [{ isAdmin: false }, { isDisabled: true }, { expiresAt: '2020-01-01T00:00:00Z' }])
      await rejectsWith('conflict', admin.call('user.update', { user: 'admin', ...change }))
    await rejectsWith('conflict', admin.call('user.delete', { user: 'admin' }))
    await admin.call('user.update', { user: 'admin', description: 'still here' })
  })

  it('needs the present password to change the own one, and a token is none', async () => {
    for (const [proved, code] of [
      [undefined, 'denied'],
      [identityOf('self', { credential: 'token:abc' }), 'denied'],
      [identityOf('guest'), 'denied'],
    ] as const) {
      await using other = await openTestAdministration({ verify: async () => proved })
      await other.system.call('user.create', { name: 'self', password: null })
      const change = other.as('self').call('user.password', {
        user: 'self',
        password: 'long enough',
        current: 'self-password',
      })
      await rejectsWith(code, change)
    }
    await rejectsWith('invalid', opened.caller('self').call('user.password', { user: 'self' }))
  })

  it('makes no token by a token that outlives it, or goes on when it is revoked', async () => {
    const { credential } = await opened.caller('self').call('token.create', {
      account: 'self',
      expiresAt: '2040-01-01T00:00:00Z',
    })
    const byToken = opened.as('self', { credential: `token:${credential.id}` })
    for (const expiresAt of [null, '2041-01-01T00:00:00Z'])
      await rejectsWith('invalid', byToken.call('token.create', { account: 'self', expiresAt }))
    const child = await byToken.call('token.create', { account: 'self' })
    assert.equal(child.credential.expiresAt, '2040-01-01T00:00:00.000Z')
    await opened.caller('self').call('token.revoke', { account: 'self', token: credential.id })
    const { items } = await opened.caller('self').call('token.list', { account: 'self' })
    assert.ok(items.every(({ revokedAt }) => revokedAt !== null))
  })

  it('makes no lasting token by the word of an OpenID provider alone', async () => {
    const workload = opened.as('github/octo', { credential: 'oidc:github' })
    await rejectsWith('denied', workload.call('token.create', { account: 'github/octo' }))
  })

  it('has the hashes and secrets in no answer, and the digests in the database', async () => {
    const { token, credential } = await opened.caller('self').call('token.create', { account: 'self' })
    const stored = await opened.metadata.findCredential(credential.id)
    assert.match(stored?.secretDigest ?? '', /^[0-9a-f]{64}$/)
    const everything = JSON.stringify([
      credential,
      await opened.caller('self').call('token.list', { account: 'self' }),
      await opened.system.call('user.list', {}),
    ])
    assert.equal(everything.includes(stored?.secretDigest ?? ''), false)
    assert.equal(everything.includes(token.split('_')[2] ?? ''), false)
    await opened.system.call('user.password', { user: 'self', password: 'long enough' })
    const { passwordHash } = (await opened.metadata.findAccount(parseAccountName('self'))) ?? {}
    assert.match(passwordHash ?? '', /^\$2b\$04\$/)
  })

  it('keeps to the methods and statuses of HTTP', () => {
    for (const name of operationNames) {
      const { method, status, path } = adminOperations[name]
      assert.match(path, /^\/api\/v1\//)
      if (method === 'POST') assert.equal(status, 201, name)
      if (method === 'DELETE') assert.equal(status, 204, name)
      if (method === 'GET') assert.equal(status, 200, name)
    }
  })
})
