import * as z from 'zod'
import { positiveInteger } from './kinds.ts'

const gibibyte = 1024 ** 3

/** How blobs of upstreams come to whoever pulls them. */
export const pullThroughSettings = z.strictObject({
  spoolDirectory: z
    .string()
    .optional()
    .describe(
      'Directory for blobs that many read while they come; data/spool unless given. A local disk; all that is in it is removed at the start.',
    ),
  spoolBytes: z.coerce
    .number()
    .int()
    .nonnegative()
    .default(16 * gibibyte)
    .describe(
      'Bytes of blobs that come from upstreams, shared out to registry.workers processes; never more than a quarter of what is free. What does not fit comes through memory, and slow clients may have to wait until it is stored. 0 for no spool.',
    ),
  answerWithinSeconds: positiveInteger()
    .max(600)
    .default(20)
    .describe(
      'How long a pull waits for a blob that another process fetches before it asks upstream itself; clients give up after 30.',
    ),
  slowClientSeconds: positiveInteger()
    .max(3600)
    .default(30)
    .describe('How long slow clients may hold a blob up, all in all, for which the spool has no room.'),
  fetchHours: z.coerce
    .number()
    .positive()
    .max(168)
    .default(6)
    .describe('How long the fetch of one blob may take; the next pull goes on where it has stopped.'),
  maxFetches: positiveInteger()
    .max(10_000)
    .default(256)
    .describe(
      'Blobs that one process fetches at once and keeps; what is beyond that is passed on and not kept.',
    ),
})
