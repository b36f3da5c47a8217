import { administrationContract } from '../../contract/administration.ts'
import { startAdminRegistry } from '../../support/admin-registry.ts'

administrationContract('HttpAdministration with a password', async () => {
  const registry = await startAdminRegistry()
  return {
    administration: registry.as('root'),
    account: 'root',
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
})

administrationContract('HttpAdministration with an API token', async () => {
  const registry = await startAdminRegistry()
  const { token } = await registry.as('root').call('token.create', { account: 'root' })
  return {
    administration: registry.withToken(token),
    account: 'root',
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
})
