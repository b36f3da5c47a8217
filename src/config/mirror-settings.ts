import * as z from 'zod'
import { mirrorJobSchema } from '../mirror-job.ts'
import { fromJson, positiveInteger } from './kinds.ts'
import { uniqueNames } from './named-list.ts'

/** What is copied from other registries, or to them, again and again. */
export const mirrorSettings = z.strictObject({
  jobs: z
    .preprocess(fromJson, z.array(mirrorJobSchema).max(1000).superRefine(uniqueNames))
    .default([])
    .describe(
      'Mirror jobs, as docs/mirroring.md describes them: name, source, target, repositories, tags, platforms, referrers, schedule … Those that administration makes are beside them. A list; JSON in the environment.',
    ),
  jobsAtOnce: positiveInteger()
    .max(64)
    .default(2)
    .describe('Mirror jobs that one process runs at the same time.'),
  keepRunsDays: positiveInteger()
    .max(3650)
    .default(30)
    .describe('How long it is remembered what runs of mirror jobs have done; the newest of each job stays.'),
  hookTokenFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File with bearer tokens, one a line, of those who may wake mirror jobs by POST /api/v1/mirror/hooks/JOB. Nobody may, unless it is given.',
    ),
})
