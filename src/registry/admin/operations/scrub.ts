import * as z from 'zod'
import { adminEndpoint, pageFields } from '../operation.ts'
import { blobFaultView, scrubRunView, scrubStatusView, strayView } from '../scrub-views.ts'
import { listingOf } from '../views.ts'

/** The scrub: whether what is stored is what was pushed. */
export const scrubOperations = {
  'scrub.status': adminEndpoint({
    method: 'GET',
    path: '/api/v1/scrub',
    summary: 'Shows how far the check of all stored objects is, and what was found.',
    resource: 'scrub',
    input: z.strictObject({}),
    output: scrubStatusView,
    status: 200,
  }),
  'scrub.run': adminEndpoint({
    method: 'POST',
    path: '/api/v1/scrub/runs',
    summary:
      'Checks what is stored, whatever the time of day, for some seconds; asked again without `begins` while the outcome is `more`, all of it.',
    resource: 'scrub',
    input: z.strictObject({
      begins: z
        .boolean()
        .exactOptional()
        .describe('Whether a pass begins where none is under way, or the one that was has stopped.'),
      takesAll: z
        .boolean()
        .exactOptional()
        .describe('Whether it goes on however many blobs are missing: they are really lost.'),
      bytesPerSecond: z
        .int()
        .min(0)
        .exactOptional()
        .describe('How fast it reads, for this time; 0: as fast as it goes.'),
    }),
    output: scrubRunView,
    status: 201,
  }),
  'scrub.faults': adminEndpoint({
    method: 'GET',
    path: '/api/v1/scrub/faults',
    summary: 'Lists damaged blobs, which nobody gets until they are pushed again, and who has them.',
    resource: 'scrub',
    input: z.strictObject(pageFields),
    output: listingOf(blobFaultView),
    status: 200,
    failures: ['invalid digest'],
  }),
  'scrub.strays': adminEndpoint({
    method: 'GET',
    path: '/api/v1/scrub/strays',
    summary: 'Lists objects of the store that nothing names; they go after a while.',
    resource: 'scrub',
    input: z.strictObject(pageFields),
    output: listingOf(strayView),
    status: 200,
    failures: ['invalid object'],
  }),
} as const
