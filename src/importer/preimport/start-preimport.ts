import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { ProcessLock } from '../../storage/process-lock.ts'
import { EventStream } from '../../storage/remote/event-stream.ts'
import { Follower } from './follower.ts'
import { importPushed, type PreimportJobs, type PreimportOutcome } from './import-pushed.ts'
import type { PreimportRule } from './preimport-rule.ts'
import { SavedPosition } from './saved-position.ts'

/** Where a rule's images go. */
export interface PreimportPlace {
  readonly jobs: PreimportJobs
  /** Lives and dies with the pool's images; private to this user. */
  readonly recordsDirectory: string
}

export interface PreimportOptions {
  readonly rules: readonly PreimportRule[]
  /** Asked again and again. @throws DomainError while the pool is not open. */
  readonly placeOf: (pool: string | undefined) => PreimportPlace
  readonly log: Logger
  readonly onImported?: ((rule: string, outcome: PreimportOutcome) => void) | undefined
  readonly onEvents?: ((rule: string, count: number) => void) | undefined
  /** How long a registry may be silent before it is asked again. Seconds. */
  readonly waitSeconds?: number | undefined
  /** The longest pause after failures. */
  readonly maxBackoffMs?: number | undefined
  /** How long to wait before looking again whether a pool is open, or another process has stopped following. */
  readonly retryMs?: number | undefined
}

const defaultMaxBackoffMs = 5 * 60_000
const defaultRetryMs = 5000

/**
 * Imports images as they are pushed. Each rule follows its registry on its own; of all processes that work on one pool,
 * one follows a rule. Disposing stops following; imports that it has asked for go on, and those that have not ended are
 * asked for again by the next start.
 */
export function startPreimport(options: PreimportOptions): AsyncDisposable {
  const stopping = new AbortController()
  const following = options.rules.map(rule => follow(rule, options, stopping.signal))
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new DOMException('following pushed images ends', 'AbortError'))
      await Promise.all(following)
    },
  }
}

/** Never rejects. */
async function follow(rule: PreimportRule, options: PreimportOptions, signal: AbortSignal): Promise<void> {
  const { log, retryMs = defaultRetryMs } = options
  let told = ''
  while (!signal.aborted) {
    try {
      if (await followWhileOurs(rule, options, signal)) return
    } catch (error) {
      if (signal.aborted) return
      const reason = error instanceof Error ? error.message : String(error)
      // Once for each reason: a pool may be away for days.
      if (reason !== told && isDomainError(error))
        log.warn({ rule: rule.name, reason }, 'pushed images are not followed now')
      else if (reason !== told) log.error({ rule: rule.name, error }, 'following pushed images failed')
      told = reason
    }
    await sleep(retryMs, undefined, { signal }).catch(() => {})
  }
}

/** @returns false at once when another process follows the rule. */
async function followWhileOurs(
  rule: PreimportRule,
  options: PreimportOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { placeOf, log, onEvents, onImported, waitSeconds, maxBackoffMs = defaultMaxBackoffMs } = options
  const { name, events, tokenFile, pool } = rule
  const directory = join(placeOf(pool).recordsDirectory, 'preimport')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  using lock = ProcessLock.tryAcquire(join(directory, `${name}.lock`))
  if (lock === undefined) return false
  await using stream = new EventStream({ url: events, tokenFile, waitSeconds })
  const parts = { rule, jobs: () => placeOf(pool).jobs, log, maxBackoffMs }
  const follower = new Follower({
    rule,
    stream,
    saved: new SavedPosition(directory, name, events),
    importImage: async (image, aborted) => await importPushed(parts, image, aborted),
    log,
    maxBackoffMs,
    onEvents: count => onEvents?.(name, count),
    onImported: outcome => onImported?.(name, outcome),
  })
  await follower.run(signal)
  return true
}
