import * as z from 'zod'
import { positiveInteger } from './kinds.ts'

const daysOfTenYears = 3660

/** How what is stored is looked through for damage. */
export const scrubSettings = z.strictObject({
  bytesPerSecond: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(20 * 1024 * 1024)
    .describe('How fast stored objects are read and checked, by one process of all; 0: not at all.'),
  everyDays: z.coerce
    .number()
    .positive()
    .max(daysOfTenYears)
    .default(30)
    .describe('How long after the beginning of one pass over all objects the next one begins.'),
  window: z
    .string()
    .regex(
      /^(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d$/,
      'from-to by the clock, such as 22:00-06:00',
    )
    .optional()
    .describe('When objects are checked each day, in UTC; all day long without it.'),
  maxMissingPercent: z.coerce
    .number()
    .nonnegative()
    .max(100)
    .default(1)
    .describe(
      'A pass that finds more of all blobs missing than this, and more than 20, stops: it may be the wrong bucket. `varve scrub run --all` goes on.',
    ),
  keepDamagedDays: z.coerce
    .number()
    .nonnegative()
    .max(daysOfTenYears)
    .default(30)
    .describe('How long a damaged object stays in the store when another one has taken its place.'),
  keepStraysDays: z.coerce
    .number()
    .positive()
    .max(daysOfTenYears)
    .default(14)
    .describe('How long an object stays that nothing names; never less than registry.uploadExpiryHours.'),
  intervalSeconds: positiveInteger()
    .max(24 * 3600)
    .default(60)
    .describe('How often there is a look whether it is time to check.'),
})
