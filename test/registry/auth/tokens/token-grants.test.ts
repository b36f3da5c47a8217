import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Access } from '../../../../src/registry/auth/access.ts'
import { AccessPolicy } from '../../../../src/registry/auth/access-policy.ts'
import { parseScopes } from '../../../../src/registry/auth/tokens/scope.ts'
import { tokenCaller } from '../../../../src/registry/auth/tokens/token-caller.ts'
import type { TokenContent } from '../../../../src/registry/auth/tokens/token-claims.ts'
import { allows } from '../../../../src/registry/auth/tokens/token-claims.ts'
import { TokenService } from '../../../../src/registry/auth/tokens/token-service.ts'
import { parseTenantName } from '../../../../src/storage/accounts/names.ts'
import { type Action, actions, roles } from '../../../../src/storage/accounts/roles.ts'
import { parseRepositoryName } from '../../../../src/storage/reference.ts'
import { identityOf } from '../../../support/known-identities.ts'

const names = ['acme/a', 'acme/b', 'open/a', 'other/a'] as const
const anyScopeText = fc.oneof(
  fc
    .tuple(fc.constantFrom(...names), fc.array(fc.constantFrom(...actions, '*', 'admin'), { maxLength: 4 }))
    .map(([name, wanted]) => `repository:${name}:${wanted.join(',')}`),
  fc.constantFrom('registry:catalog:*', 'registry:catalog:pull', 'repository(plugin):acme/a:push', 'junk'),
)
const anyIdentity = fc.option(
  fc
    .record({
      isAdmin: fc.boolean(),
      role: fc.option(fc.constantFrom(...roles)),
      scopes: fc.option(
        fc.array(
          fc.record({
            pattern: fc.constantFrom('acme/*', 'acme/a', '**', 'open/**'),
            actions: fc.subarray([...actions]),
          }),
          { maxLength: 2 },
        ),
      ),
    })
    .map(({ isAdmin, role, scopes }) =>
      identityOf('alice', {
        isAdmin,
        scopes,
        memberships: role === null ? [] : [{ tenant: parseTenantName('acme'), role }],
      }),
    ),
)

/** Rules as those of a database in which `acme` is private, `open` public, and `other` absent. */
const policy = new AccessPolicy({
  anonymous: true,
  admins: [],
  tenants: {
    accessFacts: (_account, repository) => {
      const tenant = parseTenantName(repository.split('/')[0] ?? '')
      const visibility = tenant === 'open' ? 'public' : 'private'
      return Promise.resolve({
        tenant: tenant === 'other' ? undefined : { name: tenant, visibility },
        repositoryVisibility: undefined,
        role: undefined,
        grants: [],
      })
    },
  },
})

/** What a token for these scopes says. */
async function contentFor(
  identity: Parameters<TokenService['grant']>[0],
  texts: readonly string[],
): Promise<TokenContent> {
  let issued: Omit<TokenContent, 'id'> | undefined
  const service = new TokenService({
    policy,
    issuer: {
      issue: content => {
        issued = content
        return Promise.resolve({ text: '', id: 'id', issuedAt: new Date(0), expiresInSeconds: 300 })
      },
    },
    // Not asked here.
    refreshTokens: Object.create(null),
  })
  await service.grant(identity, parseScopes(texts))
  assert.ok(issued)
  return { ...issued, id: 'id' }
}

const everyAccess: readonly Access[] = [
  { kind: 'catalog' },
  ...names.flatMap(name =>
    actions.map(
      (action: Action): Access => ({ kind: 'repository', name: parseRepositoryName(name), action }),
    ),
  ),
]

describe('A token', () => {
  it('is good for exactly what was asked for and what its identity may', async () => {
    await fc.assert(
      fc.asyncProperty(anyIdentity, fc.array(anyScopeText, { maxLength: 6 }), async (identity, texts) => {
        const { access: entries } = await contentFor(identity, texts)
        const asked = parseScopes(texts)
        for (const access of everyAccess) {
          const { isAllowed } = await policy.decide(identity, access)
          assert.equal(allows(entries, access), isAllowed && allows(asked, access))
        }
      }),
    )
  })

  it('never lets its holder do what its identity may not, nor push what it does not name', async () => {
    await fc.assert(
      fc.asyncProperty(anyIdentity, fc.array(anyScopeText, { maxLength: 6 }), async (identity, texts) => {
        const content = await contentFor(identity, texts)
        const caller = tokenCaller(content, policy)
        const canChange = everyAccess.some(
          access =>
            access.kind === 'repository' && access.action !== 'pull' && allows(content.access, access),
        )
        for (const access of everyAccess) {
          const { isAllowed } = await caller.decide(access)
          if (isAllowed) assert.ok((await policy.decide(identity, access)).isAllowed)
          if (isAllowed && (canChange || access.kind === 'catalog' || access.action !== 'pull'))
            assert.ok(allows(content.access, access))
        }
      }),
    )
  })
})
