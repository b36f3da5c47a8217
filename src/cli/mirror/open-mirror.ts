import type { Config } from '../../config.ts'
import { createLogger } from '../../log.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import type { LeadParts } from '../../registry/mirror/lead-run.ts'
import { openLeadParts } from '../registry/mirror.ts'
import { openMirrorJobs } from '../registry/mirror-jobs.ts'
import { openStores } from '../registry/stores.ts'
import { readMirrorJob } from './read-job.ts'

/** A job, and what it takes to plan or run it in this process. */
export interface OpenedMirror extends AsyncDisposable {
  readonly job: MirrorJob
  readonly parts: LeadParts
}

/**
 * Of the registry of the configuration, on its own database and storage; it may be running.
 * @param name of a job that is known.
 * @param file with one that need not be.
 * @throws DomainError.
 */
export async function openMirror(
  config: Config,
  { name, file }: JobChoice,
  signal: AbortSignal,
): Promise<OpenedMirror> {
  await using stack = new AsyncDisposableStack()
  const given = file === undefined ? undefined : await readMirrorJob(file)
  const stores = stack.use(await openStores(config, { migrate: config.database.migrate, signal }))
  const jobs = openMirrorJobs(config, stores.metadata)
  const job = given ?? (await jobs.get(name ?? '', { signal })).job
  jobs.check(job)
  // What goes on is shown; only what nobody expects is for the log.
  const log = createLogger({ level: 'error', destination: process.stderr })
  const parts = openLeadParts(config, stores, log, stack)
  const owned = stack.move()
  return { job, parts, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}

/** One of both. */
export interface JobChoice {
  readonly name: string | undefined
  readonly file: string | undefined
}
