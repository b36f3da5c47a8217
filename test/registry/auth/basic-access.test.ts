import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AccessPolicy } from '../../../src/registry/auth/access-policy.ts'
import { BasicAccess } from '../../../src/registry/auth/basic-access.ts'
import type { IdentityProvider } from '../../../src/registry/auth/identity.ts'
import { OpenAccess } from '../../../src/registry/auth/open-access.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { accessControllerContract } from '../../contract/access-controller.ts'
import { basic, identityOf, KnownIdentities } from '../../support/known-identities.ts'
import { rejectsWith } from '../../support/rejects.ts'

accessControllerContract('BasicAccess', 'Basic', async ({ policy, logins, service }) => ({
  controller: new BasicAccess({ ...logins, policy, service }),
  show: async name => (name === undefined ? undefined : basic(name)),
}))

/** Says of everybody whom the other one knows that nothing but the database can change them. */
function steady(identities: IdentityProvider): IdentityProvider {
  return {
    verify: async (...login) => {
      const identity = await identities.verify(...login)
      return identity && { ...identity, unchangedUntil: Number.POSITIVE_INFINITY }
    },
    renew: (...stamp) => identities.renew(...stamp),
    repeat: () => true,
  }
}

accessControllerContract(
  'BasicAccess with a change mark',
  'Basic',
  async ({ policy, logins, service, metadata: { changeMark } }) => ({
    controller: new BasicAccess({
      ...logins,
      identities: steady(logins.identities),
      policy,
      service,
      changeMark,
    }),
    show: async name => (name === undefined ? undefined : basic(name)),
  }),
)

const pull = { kind: 'repository', name: parseRepositoryName('acme/app'), action: 'pull' } as const
const request = { scheme: 'https', host: 'registry.example.com', address: '192.0.2.1' } as const

describe('BasicAccess', () => {
  const tenants = {
    accessFacts: async () => ({
      tenant: undefined,
      repositoryVisibility: undefined,
      role: undefined,
      grants: [],
    }),
  }
  const policy = new AccessPolicy({ tenants, anonymous: true, admins: [] })
  const access = new BasicAccess({
    identities: new KnownIdentities(identityOf('alice')),
    policy,
    service: 'varve',
  })

  it('tells a known account that it may not, and those without one to log in', async () => {
    const known = await rejectsWith(
      'denied',
      access.authorize({ ...request, authorization: basic('alice') }, [pull]),
    )
    assert.equal(known.message, 'alice may not pull acme/app.')
    assert.equal(known.details.rule, 'no rule lets alice pull acme/app')
    const nobody = await rejectsWith(
      'unauthorized',
      access.authorize({ ...request, authorization: undefined }, [pull]),
    )
    assert.equal(nobody.details.challenge, 'Basic realm="varve"')
    assert.equal(nobody.details.rule, 'no rule lets everybody pull acme/app')
  })

  it('takes no tokens of a token service', async () => {
    await rejectsWith('unauthorized', access.authorize({ ...request, authorization: 'Bearer abc' }, [pull]))
  })
})

describe('OpenAccess', () => {
  it('lets everybody do everything, as nobody in particular', async () => {
    const caller = await new OpenAccess().authorize()
    assert.deepEqual([caller.account, caller.isAdmin, caller.credential], [null, true, undefined])
    assert.equal((await caller.decide(pull)).isAllowed, true)
  })
})
