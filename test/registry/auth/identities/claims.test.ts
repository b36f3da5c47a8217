import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Claims, claimedBy } from '../../../../src/registry/auth/identities/claims.ts'
import type { ClaimRules } from '../../../../src/registry/auth/identities/provider-options.ts'
import { accountKindOf, parseTenantName } from '../../../../src/storage/accounts/names.ts'

const [acme, globex] = [parseTenantName('acme'), parseTenantName('globex')]

const rules: ClaimRules = { name: 'github', accountClaim: 'repository', require: {}, roles: [] }
const claims: Claims = {
  sub: 'repo:octo-org/app:ref:refs/heads/main',
  repository: 'octo-org/app',
  repository_id: 74,
  ref: 'refs/heads/main',
  groups: ['staff', 'team/builders'],
  email_verified: true,
  nested: { role: 'owner' },
}

function accountOf(changed: Claims, more: Partial<ClaimRules> = {}): string | undefined {
  const claimed = claimedBy({ ...claims, ...changed }, { ...rules, ...more })
  return 'account' in claimed ? claimed.account : undefined
}

function membershipsOf(roles: ClaimRules['roles']): unknown {
  const claimed = claimedBy(claims, { ...rules, roles })
  return 'account' in claimed ? claimed.memberships : assert.fail(claimed.problem)
}

describe('Claims', () => {
  it('are an account of their provider', () => {
    assert.equal(accountOf({}), 'github/octo-org/app')
    assert.equal(accountOf({}, { accountClaim: 'repository_id' }), 'github/74')
    const kubernetes = 'system:serviceaccount:builds:ci'
    assert.equal(accountOf({ sub: kubernetes }, { accountClaim: 'sub' }), `github/${kubernetes}`)
  })

  for (const [what, value] of [
    ['absent', undefined],
    ['empty', ''],
    ['null', null],
    ['a list of two', ['a', 'b']],
    ['an object', { name: 'a' }],
    ['a way out of the provider', '../admin'],
    ['a path with an empty part', 'a//b'],
    ['a path that ends', 'a/'],
    ['with a blank', 'a b'],
    ['with a line end', 'a\nb'],
    ['with a quote', "a'b"],
    ['too long', 'a'.repeat(300)],
  ] as const)
    it(`are nobody when what should be the name is ${what}`, () =>
      assert.equal(accountOf({ repository: value }), undefined))

  it('are never an account of anybody else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z/+@.-]{1,20}$/)), value => {
        const account = accountOf({ repository: value })
        if (account === undefined) return
        assert.ok(account.startsWith('github/'))
        assert.equal(accountKindOf(account), 'federated')
      }),
    )
  })

  it('have to be as required, all of them', () => {
    const required = (require: ClaimRules['require']): string | undefined => accountOf({}, { require })
    const account = 'github/octo-org/app'
    assert.equal(required({ ref: 'refs/heads/main' }), account)
    assert.equal(required({ ref: 'refs/*/main', repository: 'octo-org/*' }), account)
    assert.equal(required({ ref: '**' }), account)
    assert.equal(required({ groups: 'staff' }), account)
    assert.equal(required({ groups: 'team/*' }), account)
    assert.equal(required({ email_verified: 'true' }), account)
    for (const require of [
      { ref: 'refs/heads/*x' },
      { ref: 'refs/*' },
      { ref: 'refs.heads.main' },
      { ref: 'refs/heads/main', repository: 'octo-org' },
      { groups: 'staffs' },
      { absent: '**' },
      { nested: '**' },
      { toString: '**' },
      { __proto__x: '**' },
    ])
      assert.equal(required(require), undefined, JSON.stringify(require))
  })

  it('say which claim was missing, and not what it was', () => {
    const claimed = claimedBy(claims, { ...rules, require: { ref: 'refs/tags/*' } })
    assert.deepEqual(claimed, { problem: 'its claim ref is not what is required' })
  })

  it('stand for roles, all that fit, of each tenant the highest', () => {
    assert.deepEqual(membershipsOf([]), [])
    assert.deepEqual(
      membershipsOf([
        { tenant: acme, role: 'guest', when: {} },
        { tenant: acme, role: 'maintainer', when: { ref: 'refs/heads/main' } },
        { tenant: acme, role: 'developer', when: { groups: 'staff' } },
        { tenant: acme, role: 'owner', when: { groups: 'admins' } },
        { tenant: globex, role: 'developer', when: { groups: 'team/*', repository: '*/app' } },
        { tenant: globex, role: 'owner', when: { groups: 'team/*', repository: '*/lib' } },
      ]),
      [
        { tenant: acme, role: 'maintainer' },
        { tenant: globex, role: 'developer' },
      ],
    )
  })
})
