import * as z from 'zod'
import { positiveInteger } from './kinds.ts'

/** What the agent removes by itself; nothing unless one of the first two is set. */
export const pruneSettings = z.strictObject({
  unusedDays: positiveInteger()
    .max(36_500)
    .optional()
    .describe(
      'Images that were not imported, cloned or published for so many days are removed; clones keep theirs.',
    ),
  targetBytes: z.coerce
    .number()
    .int()
    .nonnegative()
    .optional()
    .describe(
      'Bytes that all images together may take in each pool: the least recently used go first, of those that unusedDays lets go.',
    ),
  everyMinutes: positiveInteger()
    .max(7 * 24 * 60)
    .default(60)
    .describe('How often the agent looks for images to remove.'),
})
