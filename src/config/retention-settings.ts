import * as z from 'zod'
import { configuredRetentionPolicySchema, isCronExpression } from '../retention-policy.ts'
import { flag, fromJson } from './kinds.ts'
import { uniqueNames } from './named-list.ts'

/** Which tags go by themselves, and when. */
export const retentionSettings = z.strictObject({
  enabled: flag()
    .default(true)
    .describe('Whether tags go when their time has come, and by policies, while the registry runs.'),
  policies: z
    .preprocess(fromJson, z.array(configuredRetentionPolicySchema).max(1000).superRefine(uniqueNames))
    .default([])
    .describe(
      'Retention policies, as docs/retention.md describes them: name, repositories, rules, otherwise, untaggedAfter, delay, dryRun. Those of tenants are beside them. A list; JSON in the environment.',
    ),
  schedule: z
    .string()
    .max(128)
    .refine(isCronExpression, 'not a cron expression')
    .default('23 3 * * *')
    .describe('When policies are applied to all repositories: a cron expression, in UTC.'),
  window: z
    .string()
    .regex(
      /^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/,
      'from-to by the clock, such as 22:00-06:00',
    )
    .optional()
    .describe(
      'When policies are applied each day, in UTC; what is left then is done the next day. All day long without it.',
    ),
  labels: flag()
    .default(true)
    .describe(
      'Whether a label or annotation varve.expires-after (or quay.expires-after) of an image says how long its tag stays, such as 3d.',
    ),
})
