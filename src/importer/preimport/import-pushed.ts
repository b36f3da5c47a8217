import { setTimeout as sleep } from 'node:timers/promises'
import { type DomainError, isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { backoffMs } from '../../storage/backoff.ts'
import { formatPlatform, type Platform } from '../../storage/platform.ts'
import type { ImportRequest } from '../import-service.ts'
import type { ImportJob } from '../jobs/import-job.ts'
import type { PreimportRule } from './preimport-rule.ts'

/** What is needed of import jobs. */
export interface PreimportJobs {
  ensure(request: ImportRequest, options: { readonly priority: number }): Pick<ImportJob, 'summary' | 'ended'>
}

/** How a pushed image ended: it is there, it cannot be imported, or it was not there any more. */
export type PreimportOutcome = 'done' | 'failed' | 'gone'

export interface ImportPushedParts {
  readonly rule: Pick<PreimportRule, 'name' | 'platforms' | 'priority' | 'credentials'>
  /** @throws DomainError while the pool is not open. */
  readonly jobs: () => PreimportJobs
  readonly log: Logger
  readonly maxBackoffMs: number
}

/** What may be otherwise the next time, without anybody having pushed again. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'throttled', 'busy', 'no_space'])

/**
 * Imports what a tag names now, for every platform. Whatever may pass is tried again until it has.
 * Rejects only by the signal.
 */
export async function importPushed(
  parts: ImportPushedParts,
  image: string,
  signal: AbortSignal,
): Promise<PreimportOutcome> {
  const outcomes: PreimportOutcome[] = []
  for (const platform of parts.rule.platforms)
    outcomes.push(await importForPlatform(parts, image, platform, signal))
  return outcomes.find(outcome => outcome !== 'done') ?? 'done'
}

async function importForPlatform(
  { rule, jobs, log, maxBackoffMs }: ImportPushedParts,
  image: string,
  platform: Platform,
  signal: AbortSignal,
): Promise<PreimportOutcome> {
  const { name, priority, credentials } = rule
  const request = { image, platform, credentials }
  const facts = { rule: name, image, platform: formatPlatform(platform) }
  for (let failures = 1; ; failures += 1) {
    const error = await tryOnce(jobs, request, priority, signal)
    if (error === undefined) {
      log.info(facts, 'a pushed image was imported')
      return 'done'
    }
    const told = { ...facts, code: error.code, reason: error.message }
    if (error.code === 'not_found') {
      log.info(told, 'a pushed image is not there any more')
      return 'gone'
    }
    if (!passing.has(error.code)) {
      log.error(told, 'a pushed image cannot be imported')
      return 'failed'
    }
    const pauseMs = backoffMs(failures, maxBackoffMs)
    log.warn({ ...told, pauseMs }, 'a pushed image is not imported yet, and is tried again')
    await sleep(pauseMs, undefined, { signal })
  }
}

interface Failure {
  readonly code: string
  readonly message: string
}

async function tryOnce(
  jobs: () => PreimportJobs,
  request: ImportRequest,
  priority: number,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  try {
    // One that had begun before may have asked what the tag names before it was pushed; the next one has not.
    for (let isLate = true; isLate; ) {
      const askedAt = new Date()
      const job = jobs().ensure(request, { priority })
      const { startedAt } = job.summary()
      isLate = startedAt !== undefined && startedAt < askedAt
      const final = await job.ended({ signal })
      if (final.type === 'error' && !isLate) return final.error
    }
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    if (isDomainError(error))
      return { code: unknownPool(error) ? 'invalid' : error.code, message: error.message }
    throw error
  }
}

/** A pool that is not configured is not an image that has gone. */
function unknownPool({ code, details }: DomainError): boolean {
  return code === 'not_found' && details.resource === 'pool'
}
