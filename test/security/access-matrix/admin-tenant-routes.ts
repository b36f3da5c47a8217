import { parseAccountName, parseTenantName } from '../../../src/storage/accounts/names.ts'
import {
  acme,
  type AdminCall,
  type AdminRoute,
  admins,
  adminsOf,
  type Asker,
  everyAccount,
  here,
  members,
  ownAccount,
  owners,
  tenant,
  way,
} from './admin-route.ts'
import { people } from './people.ts'

/** Administration of tenants, and of what is in them. */
export const tenantRoutes: readonly AdminRoute[] = [
  way('POST', '/api/v1/tenants', admins, {
    status: 201,
    prepare: ({ mark }) => ({ body: { name: `tenant-${mark}` } }),
  }),
  way('GET', '/api/v1/tenants', everyAccount),
  way('GET', '/api/v1/tenants/:tenant', members, { prepare: () => here() }),
  way('GET', '/api/v1/tenants/:tenant', () => 'hidden', {
    what: 'that is not there',
    prepare: () => ({ parameters: { tenant: 'absent' } }),
  }),
  way('PATCH', '/api/v1/tenants/:tenant', owners, { prepare: () => here({ description: 'x' }) }),
  way('PATCH', '/api/v1/tenants/:tenant', adminsOf(acme), {
    what: 'with a quota',
    prepare: () => here({ quotaBytes: null }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant', adminsOf('doomed'), { status: 204, prepare: restoreDoomed }),
  way('GET', '/api/v1/tenants/:tenant/audit', owners, { prepare: () => here() }),
  way('GET', '/api/v1/tenants/:tenant/usage', members, { prepare: () => here() }),
  way('GET', '/api/v1/tenants/:tenant/members', owners, { prepare: () => here() }),
  way('PUT', '/api/v1/tenants/:tenant/members/:account', owners, {
    what: 'for another account',
    status: 204,
    prepare: ({ mark }) => here({ role: 'guest' }, { account: `member-${mark}` }),
  }),
  way('PUT', '/api/v1/tenants/:tenant/members/:account', owners, {
    what: 'to become an owner',
    status: 204,
    prepare: ({ person }) => here({ role: 'owner' }, { account: ownAccount(person) }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant/members/:account', owners, {
    status: 204,
    prepare: async ({ world: { metadata }, mark }) => {
      await metadata.setMember(tenant, parseAccountName(`leaving-${mark}`), 'guest')
      return here(undefined, { account: `leaving-${mark}` })
    },
  }),
  way('GET', '/api/v1/tenants/:tenant/grants', owners, { prepare: () => here() }),
  way('POST', '/api/v1/tenants/:tenant/grants', owners, {
    status: 201,
    prepare: ({ mark }) => here({ subject: 'pat', pattern: `acme/unused-${mark}`, actions: ['pull'] }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant/grants/:grant', owners, {
    status: 204,
    prepare: async ({ world: { metadata }, mark }) => {
      const subject = parseAccountName('pat')
      const pattern = `acme/unused-${mark}`
      const { id } = await metadata.addGrant({ tenant, subject, pattern, actions: ['pull'] })
      return here(undefined, { grant: id })
    },
  }),
  way('GET', '/api/v1/repositories/*repository/visibility', members, {
    prepare: () => ({ parameters: { repository: 'acme/unused' } }),
  }),
  way('PUT', '/api/v1/repositories/*repository/visibility', owners, {
    prepare: () => ({ parameters: { repository: 'acme/unused' }, body: { visibility: 'private' } }),
  }),
  way('GET', '/api/v1/tenants/:tenant/tag-rules', members, { prepare: () => here() }),
  way('POST', '/api/v1/tenants/:tenant/tag-rules', owners, {
    status: 201,
    prepare: ({ mark }) => here({ repositories: 'acme/unused', tags: `v${mark}.*` }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant/tag-rules/:rule', owners, {
    status: 204,
    prepare: async ({ world: { metadata }, mark }) => {
      const { id } = await metadata.addTagRule({ tenant, repositories: 'acme/unused', tags: `v${mark}` })
      return here(undefined, { rule: id })
    },
  }),
  way('GET', '/api/v1/tenants/:tenant/robots', owners, { prepare: () => here() }),
  way('POST', '/api/v1/tenants/:tenant/robots', owners, {
    status: 201,
    prepare: ({ mark }) => here({ name: `new-${mark}`, role: 'developer' }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant/robots/:robot', owners, {
    status: 204,
    prepare: async ({ world: { metadata }, mark }) => {
      await metadata.createAccount({ name: parseAccountName(`acme+gone-${mark}`), kind: 'robot', tenant })
      return here(undefined, { robot: `gone-${mark}` })
    },
  }),
]

/** It may have been deleted by the row before. */
async function restoreDoomed({ world: { metadata } }: Asker): Promise<AdminCall> {
  const doomed = parseTenantName('doomed')
  const isThere = await metadata.getTenant(doomed).then(
    () => true,
    () => false,
  )
  if (!isThere) await metadata.createTenant({ name: doomed })
  for (const { account, roles, by } of isThere ? [] : people)
    if (account !== null && by !== 'OpenID token' && roles?.['doomed'] !== undefined)
      await metadata.setMember(doomed, parseAccountName(account), roles['doomed'])
  return { parameters: { tenant: 'doomed' } }
}
