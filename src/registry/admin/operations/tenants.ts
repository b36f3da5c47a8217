import * as z from 'zod'
import {
  accountField,
  actionsField,
  bytesField,
  countField,
  descriptionField,
  flagInQuery,
  momentInQuery,
  patternField,
  repositoryField,
  roleField,
  tagPatternField,
  tenantField,
  visibilityField,
} from '../fields.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import {
  auditView,
  grantView,
  listingOf,
  memberView,
  repositoryView,
  ruleView,
  tenantView,
  usageView,
} from '../views.ts'

/** Bytes of JSON, about; roots of trust are long. */
const maxTrustPolicy = 64 * 1024

const changeable = {
  description: descriptionField.exactOptional(),
  visibility: visibilityField.exactOptional().describe('Of its repositories, unless they have their own.'),
  quotaBytes: bytesField.exactOptional(),
  quotaRepositories: countField.exactOptional(),
  trustPolicy: z
    .string()
    .max(maxTrustPolicy)
    .nullable()
    .exactOptional()
    .describe('JSON: which signatures images must have to be pulled; null: none.'),
}
const inTenant = { tenant: tenantField }

/** Tenants, and what is in them. */
export const tenantOperations = {
  'tenant.create': adminEndpoint({
    method: 'POST',
    path: '/api/v1/tenants',
    summary: 'Makes a tenant.',
    resource: 'tenant',
    input: z.strictObject({ name: tenantField, ...changeable }),
    output: tenantView,
    status: 201,
    location: ({ name }) => `/api/v1/tenants/${name}`,
    failures: ['already_exists tenant'],
  }),
  'tenant.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants',
    summary: 'Tenants by name: all for admins, else those that the caller is a member of.',
    resource: 'tenant',
    input: z.strictObject(pageFields),
    output: listingOf(tenantView),
    status: 200,
  }),
  'tenant.get': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant',
    summary: 'A tenant.',
    resource: 'tenant',
    input: z.strictObject(inTenant),
    output: tenantView,
    status: 200,
  }),
  'tenant.update': adminEndpoint({
    method: 'PATCH',
    path: '/api/v1/tenants/:tenant',
    summary: 'Changes what is given. Quotas are for admins only.',
    resource: 'tenant',
    input: z.strictObject({ ...inTenant, ...changeable }),
    output: tenantView,
    status: 200,
  }),
  'tenant.delete': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant',
    summary: 'Deletes a tenant that has no repositories, with its members, grants, rules and robots.',
    resource: 'tenant',
    input: z.strictObject({
      ...inTenant,
      purge: flagInQuery
        .exactOptional()
        .describe('Whether repositories that were deleted and are still kept go with it.'),
    }),
    output: nothing,
    status: 204,
    failures: ['conflict tenant'],
  }),
  'tenant.audit': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/audit',
    summary: 'Who did what in the tenant, newest first.',
    resource: 'tenant',
    input: z.strictObject({
      ...inTenant,
      ...pageFields,
      about: z
        .enum(['content', 'tenant'])
        .exactOptional()
        .describe('What was done with its repositories, as is usual, or how it was administered.'),
      repository: repositoryField.exactOptional().describe('Only what concerns this repository.'),
      account: z.string().max(255).exactOptional(),
      operation: z.string().max(64).exactOptional(),
      outcome: z.enum(['allowed', 'denied', 'failed']).exactOptional(),
      since: momentInQuery.exactOptional(),
      until: momentInQuery.exactOptional(),
    }),
    output: listingOf(auditView),
    status: 200,
  }),
  'member.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/members',
    summary: 'Members of a tenant by account.',
    resource: 'account',
    input: z.strictObject({ ...inTenant, ...pageFields }),
    output: listingOf(memberView),
    status: 200,
  }),
  'member.set': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/tenants/:tenant/members/:account',
    summary: 'Makes an account a member of a tenant, or changes its role.',
    resource: 'account',
    input: z.strictObject({ ...inTenant, account: accountField, role: roleField }),
    output: nothing,
    status: 204,
  }),
  'member.remove': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant/members/:account',
    summary: 'Ends a membership.',
    resource: 'account',
    input: z.strictObject({ ...inTenant, account: accountField }),
    output: nothing,
    status: 204,
  }),
  'grant.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/grants',
    summary: 'Grants of a tenant, in the order in which they were added.',
    resource: 'grant',
    input: z.strictObject(inTenant),
    output: listingOf(grantView),
    status: 200,
  }),
  'grant.add': adminEndpoint({
    method: 'POST',
    path: '/api/v1/tenants/:tenant/grants',
    summary: 'Allows actions in the repositories of a tenant whose names fit a pattern.',
    resource: 'grant',
    input: z.strictObject({
      ...inTenant,
      subject: z
        .union([z.enum(['@accounts', '@everybody']), accountField])
        .describe('An account, @accounts (every account), or @everybody (those without one, too).'),
      pattern: patternField,
      actions: actionsField,
    }),
    output: grantView,
    status: 201,
    location: ({ tenant, id }) => `/api/v1/tenants/${tenant}/grants/${id}`,
    failures: ['conflict grant'],
  }),
  'grant.remove': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant/grants/:grant',
    summary: 'Takes a grant away.',
    resource: 'grant',
    input: z.strictObject({ ...inTenant, grant: z.string().max(64) }),
    output: nothing,
    status: 204,
  }),
  'repository.get': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/visibility',
    summary: 'Who may see a repository, which need not exist yet.',
    resource: 'tenant',
    input: z.strictObject({ repository: repositoryField }),
    output: repositoryView,
    status: 200,
  }),
  'repository.set': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/repositories/*repository/visibility',
    summary: 'Makes one repository public or private, whatever its tenant is; null: as its tenant.',
    resource: 'tenant',
    input: z.strictObject({ repository: repositoryField, visibility: visibilityField.nullable() }),
    output: repositoryView,
    status: 200,
  }),
  'rule.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/tag-rules',
    summary: 'Which tags of a tenant may never be changed.',
    resource: 'rule',
    input: z.strictObject(inTenant),
    output: listingOf(ruleView),
    status: 200,
  }),
  'rule.add': adminEndpoint({
    method: 'POST',
    path: '/api/v1/tenants/:tenant/tag-rules',
    summary: 'Makes tags immutable: they may be set once, and never changed or deleted.',
    resource: 'rule',
    input: z.strictObject({ ...inTenant, repositories: patternField, tags: tagPatternField }),
    output: ruleView,
    status: 201,
    location: ({ tenant, id }) => `/api/v1/tenants/${tenant}/tag-rules/${id}`,
    failures: ['conflict rule'],
  }),
  'rule.remove': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant/tag-rules/:rule',
    summary: 'Takes a rule away.',
    resource: 'rule',
    input: z.strictObject({ ...inTenant, rule: z.string().max(64) }),
    output: nothing,
    status: 204,
  }),
  'usage.get': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/usage',
    summary: 'What a tenant uses, and what it may.',
    resource: 'tenant',
    input: z.strictObject(inTenant),
    output: usageView,
    status: 200,
  }),
} as const
