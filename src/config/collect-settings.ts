import * as z from 'zod'
import { flag, positiveInteger } from './kinds.ts'

const hoursOfTenYears = 10 * 366 * 24

/** What becomes of content that nothing names any more. */
export const collectSettings = z.strictObject({
  enabled: flag()
    .default(true)
    .describe('Whether content that nothing names is deleted, while the registry runs.'),
  graceHours: z.coerce
    .number()
    .positive()
    .max(hoursOfTenYears)
    .default(24)
    .describe(
      'How long a blob stays that no manifest names, and an empty repository. The same for all replicas; longer than any push takes.',
    ),
  undeleteHours: z.coerce
    .number()
    .positive()
    .max(hoursOfTenYears)
    .optional()
    .describe(
      'How long what was deleted can be taken back, and its bytes stay and count; never less than graceHours, which it is unless given. The same for all replicas.',
    ),
  tagHistoryDays: positiveInteger()
    .max(hoursOfTenYears / 24)
    .default(90)
    .describe('How long it is remembered what tags named before; never less than undeleteHours.'),
  objectDelayMinutes: z.coerce
    .number()
    .nonnegative()
    .max(60 * hoursOfTenYears)
    .default(60)
    .describe(
      'How long the object of a blob that is gone stays in the store, for those who are reading it; never less than storage.redirectSeconds where there are redirects.',
    ),
  untaggedHours: z.coerce
    .number()
    .positive()
    .max(hoursOfTenYears)
    .optional()
    .describe(
      'How long a manifest stays that has no tag, is in no index and has no subject, since it lost the last of these or was last asked for by digest; undeleteHours at least. Without it such manifests stay for ever.',
    ),
  referrers: z
    .enum(['delete', 'keep'])
    .default('delete')
    .describe(
      'What becomes of signatures and other referrers without a tag when the manifest that is their subject was deleted: delete (after undeleteHours) or keep.',
    ),
  batch: positiveInteger()
    .max(500)
    .default(100)
    .describe('Rows that are looked at in one transaction, for which pushes may have to wait.'),
  intervalSeconds: positiveInteger()
    .max(24 * 3600)
    .default(60)
    .describe('How often there is a look at what is due.'),
  window: z
    .string()
    .regex(
      /^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/,
      'from-to by the clock, such as 22:00-06:00',
    )
    .optional()
    .describe('When garbage is collected each day, in UTC; all day long without it.'),
})
