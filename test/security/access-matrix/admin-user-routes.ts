import { parseAccountName } from '../../../src/storage/accounts/names.ts'
import { passwordOf } from '../../support/known-identities.ts'
import { type AdminRoute, admins, everyAccount, ownOr, ownUser, way } from './admin-route.ts'

/** Administration of users. */
export const userRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/whoami', everyAccount, { isForNarrowed: true }),
  way('POST', '/api/v1/users', admins, {
    status: 201,
    prepare: ({ mark }) => ({ body: { name: `new-${mark}`, password: null } }),
  }),
  way('GET', '/api/v1/users', admins),
  way('GET', '/api/v1/users/:user', ownOr(ownUser, admins), {
    what: 'of the own account',
    prepare: ({ person }) => ({ parameters: { user: ownUser(person) } }),
  }),
  way(
    'GET',
    '/api/v1/users/:user',
    ownOr(() => 'zoe', admins),
    {
      what: 'of one account',
      prepare: () => ({ parameters: { user: 'zoe' } }),
    },
  ),
  way('PATCH', '/api/v1/users/:user', admins, {
    what: 'of one account',
    prepare: () => ({ parameters: { user: 'zoe' }, body: { description: 'x' } }),
  }),
  way('PATCH', '/api/v1/users/:user', admins, {
    what: 'to become an admin',
    prepare: ({ person }) => ({ parameters: { user: ownUser(person) }, body: { isAdmin: true } }),
  }),
  way('DELETE', '/api/v1/users/:user', admins, {
    status: 204,
    prepare: async ({ world: { metadata }, mark }) => {
      await metadata.createAccount({ name: parseAccountName(`gone-${mark}`), kind: 'user' })
      return { parameters: { user: `gone-${mark}` } }
    },
  }),
  way('PUT', '/api/v1/users/:user/password', ownOr(ownUser, admins), {
    what: 'of the own account',
    prepare: async ({ world: { metadata }, person, mark }) => {
      const user = ownUser(person)
      if (user === person.account)
        return { parameters: { user }, body: { current: passwordOf(user), password: passwordOf(user) } }
      await metadata.createAccount({ name: parseAccountName(`other-${mark}`), kind: 'user' })
      return { parameters: { user: `other-${mark}` }, body: {} }
    },
  }),
  way('PUT', '/api/v1/users/:user/password', admins, {
    what: 'of another account',
    prepare: async ({ world: { metadata }, mark }) => {
      await metadata.createAccount({ name: parseAccountName(`set-${mark}`), kind: 'user' })
      return { parameters: { user: `set-${mark}` }, body: {} }
    },
  }),
]
