import { JobRun } from './job-run.ts'
import type { RunMirrorJob } from './run-job.ts'

export const runMirrorJob: RunMirrorJob = async (job, context) => await new JobRun(job, context).run()
