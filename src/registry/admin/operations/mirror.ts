import * as z from 'zod'
import { mirrorJobSchema } from '../../../mirror-job.ts'
import { parseMirrorJobName, parseMirrorRunId } from '../../mirror/job-name.ts'
import {
  mirrorJobView,
  mirrorResultView,
  mirrorRunView,
  mirrorWishView,
  resultOutcomes,
  wholeMirrorJobView,
} from '../mirror-views.ts'
import { adminEndpoint, nothing, pageFields } from '../operation.ts'
import { listingOf } from '../views.ts'

const jobField = z.string().max(64).transform(parseMirrorJobName).describe('Name of a mirror job.')
const runField = z.string().max(64).transform(parseMirrorRunId).describe('A run of a mirror job.')

const outcomesField = z
  .string()
  .max(64)
  .transform(text => text.split(','))
  .pipe(z.array(z.enum(resultOutcomes)).min(1))
  .describe(`Only results like these, with commas between them: ${resultOutcomes.join(', ')}.`)

/** Mirror jobs, and what became of them. What one is given is read by `src/mirror-job.ts` alone. */
export const mirrorOperations = {
  'mirror.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/mirror/jobs',
    summary: 'Lists mirror jobs, those of the configuration too, with their newest runs.',
    resource: 'mirror',
    input: z.strictObject(pageFields),
    output: listingOf(mirrorJobView),
    status: 200,
  }),
  'mirror.get': adminEndpoint({
    method: 'GET',
    path: '/api/v1/mirror/jobs/:job',
    summary: 'Shows a mirror job, as it is written, with all defaults.',
    resource: 'mirror',
    input: z.strictObject({ job: jobField }),
    output: wholeMirrorJobView,
    status: 200,
  }),
  'mirror.put': adminEndpoint({
    method: 'PUT',
    path: '/api/v1/mirror/jobs/:job',
    summary:
      'Makes a mirror job, or puts it in the place of the old one; a run that goes on ends as it was begun.',
    resource: 'mirror',
    input: z
      .strictObject({
        job: jobField,
        definition: mirrorJobSchema.describe('The whole job, with its name once more.'),
      })
      .refine(({ job, definition }) => job === definition.name, {
        path: ['definition', 'name'],
        message: 'it has another name than the job in the path',
      }),
    output: wholeMirrorJobView,
    status: 200,
    // Ten thousand names of repositories, most of which are short.
    maxBody: 1024 * 1024,
    failures: ['conflict mirror'],
  }),
  'mirror.remove': adminEndpoint({
    method: 'DELETE',
    path: '/api/v1/mirror/jobs/:job',
    summary:
      'Deletes a mirror job and what is remembered of its runs, and stops one that goes on. Images stay.',
    resource: 'mirror',
    input: z.strictObject({ job: jobField }),
    output: nothing,
    status: 204,
    failures: ['conflict mirror'],
  }),
  'mirror.run': adminEndpoint({
    method: 'POST',
    path: '/api/v1/mirror/jobs/:job/runs',
    summary: 'Wishes that a mirror job runs soon. Asked again before it has begun, it is the same wish.',
    resource: 'mirror',
    input: z.strictObject({ job: jobField }),
    output: mirrorWishView,
    status: 201,
  }),
  'mirror.runs': adminEndpoint({
    method: 'GET',
    path: '/api/v1/mirror/runs',
    summary: 'Lists runs of mirror jobs, newest first.',
    resource: 'mirror',
    input: z.strictObject({ ...pageFields, job: jobField.exactOptional() }),
    output: listingOf(mirrorRunView),
    status: 200,
  }),
  'mirror.status': adminEndpoint({
    method: 'GET',
    path: '/api/v1/mirror/runs/:run',
    summary: 'Shows how far a run is, or how it ended.',
    resource: 'mirror',
    input: z.strictObject({ run: runField }),
    output: mirrorRunView,
    status: 200,
  }),
  'mirror.results': adminEndpoint({
    method: 'GET',
    path: '/api/v1/mirror/runs/:run/results',
    summary: 'Lists what became of each tag in a run, and why; what was unchanged is only counted.',
    resource: 'mirror',
    input: z.strictObject({ ...pageFields, run: runField, outcomes: outcomesField.exactOptional() }),
    output: listingOf(mirrorResultView),
    status: 200,
  }),
} as const
