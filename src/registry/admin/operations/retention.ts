import * as z from 'zod'
import { retentionPolicySchema } from '../../../retention-policy.ts'
import { parseTag } from '../../../storage/reference.ts'
import { momentField, repositoryField, tenantField } from '../fields.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import {
  retentionPolicyView,
  retentionStatusView,
  retentionTickView,
  retentionVerdictView,
  tagExpiryView,
} from '../retention-views.ts'
import { listingOf } from '../views.ts'

const tagField = z.string().max(256).transform(parseTag).describe('A tag.')

/** Which tags go by themselves, and when. */
export const retentionOperations = {
  'retention.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/tenants/:tenant/retention',
    summary: "The retention policies of a tenant, and those of the registry's own configuration after them.",
    resource: 'rule',
    input: z.strictObject({ tenant: tenantField }),
    output: listingOf(retentionPolicyView),
    status: 200,
    failures: ['not_found tenant'],
  }),
  'retention.add': adminEndpoint({
    method: 'POST',
    path: '/api/v1/tenants/:tenant/retention',
    summary: 'Adds a retention policy for repositories of a tenant.',
    resource: 'rule',
    input: z.strictObject({ tenant: tenantField, policy: retentionPolicySchema }),
    output: retentionPolicyView,
    status: 201,
    location: ({ tenant, id }) => `/api/v1/tenants/${tenant}/retention/${id}`,
    failures: ['not_found tenant', 'conflict rule', 'invalid grant'],
  }),
  'retention.remove': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/tenants/:tenant/retention/:policy',
    summary: 'Removes a retention policy of a tenant.',
    resource: 'rule',
    input: z.strictObject({ tenant: tenantField, policy: z.string().max(64) }),
    output: nothing,
    status: 204,
  }),
  'retention.plan': adminEndpoint({
    method: 'GET',
    path: '/api/v1/repositories/*repository/retention',
    summary:
      'What a run at this moment would do in a repository: for each tag, and for each manifest without one, whether it goes, and why.',
    resource: 'repository',
    input: z.strictObject({ repository: repositoryField, ...pageFields }),
    output: listingOf(retentionVerdictView),
    status: 200,
    failures: ['invalid tag', 'invalid digest'],
  }),
  'retention.status': adminEndpoint({
    method: 'GET',
    path: '/api/v1/retention',
    summary: 'Shows what the last run has dropped, and when the next begins.',
    resource: 'rule',
    input: z.strictObject({}),
    output: retentionStatusView,
    status: 200,
  }),
  'retention.run': adminEndpoint({
    method: 'POST',
    path: '/api/v1/retention/runs',
    summary:
      'Applies all policies, whatever the time of day, for some seconds; asked again while the outcome is `more`, to all repositories.',
    resource: 'rule',
    input: z.strictObject({}),
    output: retentionTickView,
    status: 201,
    failures: ['conflict rule'],
  }),
  'tag.expire': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/repositories/*repository/tags/:tag/expiry',
    summary:
      'Says when a tag goes by itself; null: never, whatever a label says. It counts until the next push.',
    resource: 'tag',
    input: z.strictObject({
      repository: repositoryField,
      tag: tagField,
      expiresAt: momentField.nullable(),
    }),
    output: tagExpiryView,
    status: 200,
    failures: ['conflict tag'],
  }),
} as const
