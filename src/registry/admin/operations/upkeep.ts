import * as z from 'zod'
import { accountField, actionField, momentInQuery, repositoryField } from '../fields.ts'
import { adminEndpoint, pageFields } from '../operation.ts'
import { auditView, decisionView, keyView, listingOf } from '../views.ts'

/** What looks after the whole registry. */
export const upkeepOperations = {
  'access.explain': adminEndpoint({
    method: 'GET',
    path: '/api/v1/access',
    summary: 'Whether an account may do something with a repository, and which rule decides.',
    resource: 'account',
    input: z.strictObject({
      account: accountField.exactOptional().describe('Nobody in particular, unless given.'),
      action: actionField,
      repository: repositoryField,
    }),
    output: decisionView,
    status: 200,
  }),
  'audit.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/audit',
    summary: 'Who did what, newest first.',
    resource: 'account',
    input: z.strictObject({
      ...pageFields,
      account: z.string().max(255).exactOptional(),
      target: z
        .string()
        .max(512)
        .exactOptional()
        .describe('A repository, tenant:NAME, user:NAME …, or all repositories of a tenant: NAME/**.'),
      operation: z.string().max(64).exactOptional(),
      outcome: z.enum(['allowed', 'denied', 'failed']).exactOptional(),
      since: momentInQuery.exactOptional(),
      until: momentInQuery.exactOptional(),
    }),
    output: listingOf(auditView),
    status: 200,
  }),
  'key.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/signing-keys',
    summary: 'Keys that access tokens are signed with, newest first, without their private parts.',
    resource: 'credential',
    input: z.strictObject({}),
    output: listingOf(keyView),
    status: 200,
  }),
  'key.rotate': adminEndpoint({
    method: 'POST',
    path: '/api/v1/signing-keys',
    summary:
      'Signs with a new key from now on; tokens of the old one stay good until they end, unless it is forgotten.',
    resource: 'credential',
    input: z.strictObject({
      forgetOld: z
        .boolean()
        .optional()
        .describe('Whether tokens of all old keys end with this: for a key that somebody else may have.'),
    }),
    output: listingOf(keyView),
    status: 201,
  }),
} as const
