import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Access } from '../../../src/registry/auth/access.ts'
import { decide, type Subject } from '../../../src/registry/auth/policy.ts'
import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import { actions, roles, type Action } from '../../../src/storage/accounts/roles.ts'
import type { AccessFacts, Grant, GrantSubject } from '../../../src/storage/metadata/tenant-records.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { identityOf } from '../../support/known-identities.ts'

const acme = parseTenantName('acme')
const other = parseTenantName('other')
const alice = parseAccountName('alice')
const bob = parseAccountName('bob')
const createdAt = new Date(0)

function wants(action: Action, name = 'acme/app'): Access & { kind: 'repository' } {
  return { kind: 'repository', name: parseRepositoryName(name), action }
}

function factsOf(given: Partial<AccessFacts> = {}): AccessFacts {
  return {
    tenant: { name: acme, visibility: 'private' },
    repositoryVisibility: undefined,
    role: undefined,
    grants: [],
    ...given,
  }
}

function grant(given: Partial<Grant> = {}): Grant {
  return {
    id: '7f',
    tenant: acme,
    subject: alice,
    pattern: 'acme/**',
    actions: ['pull'],
    createdAt,
    ...given,
  }
}

const open = { anonymous: true }

describe('A decision', () => {
  for (const [what, subject, access, facts, isAllowed, rule] of [
    [
      'an administrator, of what belongs to no tenant',
      identityOf('alice', { isAdmin: true }),
      wants('delete', 'nowhere'),
      factsOf({ tenant: undefined }),
      true,
      'alice is an administrator',
    ],
    [
      'a member',
      identityOf('alice'),
      wants('delete'),
      factsOf({ role: 'maintainer' }),
      true,
      'alice is a maintainer of acme',
    ],
    [
      'an owner',
      identityOf('alice'),
      wants('push'),
      factsOf({ role: 'owner' }),
      true,
      'alice is an owner of acme',
    ],
    [
      'a role that is not enough',
      identityOf('alice'),
      wants('push'),
      factsOf({ role: 'guest' }),
      false,
      'no rule lets alice push acme/app',
    ],
    [
      'a member by what a provider says',
      identityOf('ci/alice', { memberships: [{ tenant: acme, role: 'developer' }] }),
      wants('push'),
      factsOf({ role: 'guest' }),
      true,
      'ci/alice is a developer of acme',
    ],
    [
      'a member of another tenant',
      identityOf('ci/alice', { memberships: [{ tenant: other, role: 'owner' }] }),
      wants('pull'),
      factsOf(),
      false,
      'no rule lets ci/alice pull acme/app',
    ],
    [
      'a grant',
      identityOf('alice'),
      wants('push'),
      factsOf({
        role: 'guest',
        grants: [grant({ subject: '@accounts', pattern: 'acme/a*', actions: ['pull', 'push'] })],
      }),
      true,
      'grant 7f lets @accounts pull and push acme/a*',
    ],
    [
      'nobody, by a grant',
      null,
      wants('pull'),
      factsOf({ grants: [grant({ subject: '@everybody' })] }),
      true,
      'grant 7f lets @everybody pull acme/**',
    ],
    [
      'what is public',
      null,
      wants('pull'),
      factsOf({ tenant: { name: acme, visibility: 'public' } }),
      true,
      'acme/app is public',
    ],
    [
      'what is public by itself',
      null,
      wants('pull'),
      factsOf({ repositoryVisibility: 'public' }),
      true,
      'acme/app is public',
    ],
    [
      'what is private in a public tenant',
      identityOf('alice'),
      wants('pull'),
      factsOf({ tenant: { name: acme, visibility: 'public' }, repositoryVisibility: 'private' }),
      false,
      'no rule lets alice pull acme/app',
    ],
    [
      'a push to what is public',
      null,
      wants('push'),
      factsOf({ repositoryVisibility: 'public' }),
      false,
      'no rule lets everybody push acme/app',
    ],
    [
      'what the scopes of a token leave out',
      identityOf('alice', { credential: 'token:t1', scopes: [{ pattern: 'acme/b', actions: ['push'] }] }),
      wants('push'),
      factsOf({ role: 'owner' }),
      false,
      'the scopes of token:t1 do not let it push acme/app',
    ],
    ['the catalog', null, { kind: 'catalog' }, factsOf(), true, 'everybody may list what they may pull'],
  ] as const satisfies readonly (readonly [string, Subject | null, Access, AccessFacts, boolean, string])[])
    it(`is ${isAllowed} for ${what}, and says why`, () => {
      assert.deepEqual(decide(subject, access, facts, open), { isAllowed, rule })
    })

  it('is no for those without an account where they are not wanted', () => {
    const facts = factsOf({ repositoryVisibility: 'public', grants: [grant({ subject: '@everybody' })] })
    const rule = 'those without an account may do nothing here (auth.anonymous)'
    for (const access of [wants('pull'), { kind: 'catalog' } as const])
      assert.deepEqual(decide(null, access, facts, { anonymous: false }), { isAllowed: false, rule })
    assert.equal(decide(identityOf('alice'), wants('pull'), facts, { anonymous: false }).isAllowed, true)
  })
})

const visibility = fc.constantFrom('private' as const, 'public' as const)
const role = fc.constantFrom(undefined, ...roles)
const tenantName = fc.constantFrom(acme, other)
const actionList = fc.subarray([...actions])
const pattern = fc.constantFrom('acme/**', 'acme/*', 'acme/app', 'other/**', '**', 'acme/a*', '*')
const subjectOfGrant = fc.constantFrom<GrantSubject>(alice, bob, '@accounts', '@everybody')
const anyGrant = fc
  .record({ subject: subjectOfGrant, pattern, actions: actionList, tenant: tenantName })
  .map(given => grant(given))
const anyFacts: fc.Arbitrary<AccessFacts> = fc.record({
  tenant: fc.constantFrom(
    undefined,
    { name: acme, visibility: 'private' as const },
    { name: acme, visibility: 'public' as const },
  ),
  repositoryVisibility: fc.option(visibility, { nil: undefined }),
  role,
  grants: fc.array(anyGrant, { maxLength: 4 }),
})
const memberships = fc.array(fc.record({ tenant: tenantName, role: fc.constantFrom(...roles) }), {
  maxLength: 2,
})
const scopes = fc.option(fc.array(fc.record({ pattern, actions: actionList }), { maxLength: 2 }))
const anySubject: fc.Arbitrary<Subject | null> = fc.option(
  fc.record({ isAdmin: fc.boolean(), memberships, scopes }).map(given => identityOf('alice', given)),
)
const anyAccess = fc
  .record({
    action: fc.constantFrom(...actions),
    name: fc.constantFrom('acme/app', 'acme/b/c', 'acme', 'other/app'),
  })
  .map(({ action, name }) => wants(action, name))

describe('Decisions', () => {
  const may = (subject: Subject | null, access: Access, facts: AccessFacts) =>
    decide(subject, access, facts, open).isAllowed

  it('are never taken back by another rule', () => {
    const change = fc.oneof(
      anyGrant.map(one => (facts: AccessFacts) => ({ ...facts, grants: [...facts.grants, one] })),
      fc.constant((facts: AccessFacts) => ({
        ...facts,
        role: roles[roles.findIndex(one => one === facts.role) + 1] ?? facts.role,
      })),
      fc.constant((facts: AccessFacts) => ({ ...facts, repositoryVisibility: 'public' as const })),
    )
    fc.assert(
      fc.property(anySubject, anyAccess, anyFacts, change, (subject, access, facts, more) => {
        if (may(subject, access, facts)) assert.ok(may(subject, access, more(facts)))
      }),
    )
  })

  it('are only narrowed by scopes', () => {
    fc.assert(
      fc.property(anySubject, anyAccess, anyFacts, (subject, access, facts) => {
        if (subject === null) return
        const whole = may({ ...subject, scopes: null }, access, facts)
        const fits = subject.scopes?.some(
          scope =>
            scope.actions.includes(access.action) && may({ ...subject, scopes: [scope] }, access, facts),
        )
        assert.equal(may(subject, access, facts), whole && (subject.scopes === null || fits === true))
      }),
    )
  })

  it('need a member, a grant or an administrator for what is private', () => {
    fc.assert(
      fc.property(anySubject, anyAccess, anyFacts, (subject, access, facts) => {
        const hidden: AccessFacts = {
          ...facts,
          tenant: facts.tenant && { ...facts.tenant, visibility: 'private' },
          repositoryVisibility: undefined,
          role: undefined,
          grants: [],
        }
        const stranger = subject && { ...subject, isAdmin: false, memberships: [] }
        assert.equal(may(stranger, access, hidden), false)
      }),
    )
  })

  it('let nobody do more because they may delete', () => {
    fc.assert(
      fc.property(anyAccess, pattern, subjectOfGrant, (access, pattern, subject) => {
        const facts = factsOf({ grants: [grant({ pattern, subject, actions: ['delete'] })] })
        if (access.action !== 'delete') assert.equal(may(identityOf('alice'), access, facts), false)
      }),
    )
  })

  it("take no notice of another tenant's grants and members", () => {
    fc.assert(
      fc.property(anySubject, anyAccess, fc.array(anyGrant), anyFacts, (subject, access, grants, facts) => {
        const strange = grants.map(one => ({ ...one, tenant: other }))
        const without = decide(subject, access, facts, open)
        const withThem = decide(subject, access, { ...facts, grants: [...facts.grants, ...strange] }, open)
        assert.deepEqual(withThem, without)
        if (subject?.isAdmin !== true && access.name === 'other/app') assert.equal(without.isAllowed, false)
      }),
    )
  })

  it('are for administrators alone where there is no tenant', () => {
    fc.assert(
      fc.property(anySubject, anyAccess, anyFacts, (subject, access, facts) => {
        const allowed = may(subject && { ...subject, scopes: null }, access, { ...facts, tenant: undefined })
        assert.equal(allowed, subject?.isAdmin === true)
      }),
    )
  })

  it('name everybody who has no account, and a rule always', () => {
    fc.assert(
      fc.property(anySubject, anyAccess, anyFacts, (subject, access, facts) => {
        const { rule } = decide(subject, access, facts, open)
        assert.match(rule, /^[\x20-\x7e]{5,}$/)
      }),
    )
  })
})
