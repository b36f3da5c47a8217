import { scopesOf } from '../../../../src/registry/auth/challenge.ts'
import { parseScopes } from '../../../../src/registry/auth/tokens/scope.ts'
import { accessControllerContract } from '../../../contract/access-controller.ts'
import { passwordOf } from '../../../support/known-identities.ts'
import { tokenParts } from '../../../support/token-parts.ts'

accessControllerContract('TokenAccess', 'Bearer', async parts => {
  const { access, tokens } = tokenParts(parts)
  return {
    controller: access,
    show: async (name, wanted) => {
      if (name === undefined && wanted.length === 0) return undefined
      const login = { username: name ?? '', password: passwordOf(name ?? ''), address: '192.0.2.1' }
      const identity = name === undefined ? null : ((await parts.logins.identities.verify(login)) ?? null)
      const { text } = await tokens.grant(identity, parseScopes(scopesOf(wanted)))
      return `Bearer ${text}`
    },
  }
})
