import type { Readable } from 'node:stream'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { backoffMs } from '../backoff.ts'
import type { RemoteRetries } from './remote-registries.ts'
import { retryAfterMsOf } from './retry-after.ts'
import type { Sleep } from './traffic.ts'

/** What an attempt has come to. */
export type Outcome =
  | { readonly status: number; header(name: string): string | undefined }
  | { readonly error: unknown }

export const noRetries: RemoteRetries = Object.freeze({ attempts: 1, maxWaitMs: 0 })
export const defaultRetries: RemoteRetries = Object.freeze({ attempts: 5, maxWaitMs: 30_000 })

/** Statuses of what may be otherwise in a moment (RFC 9110, 15.5.9 and 15.6; RFC 6585, 4). */
const passing: ReadonlySet<number> = new Set([408, 429, 502, 503, 504])

/**
 * How long to wait before the next attempt; undefined when there is to be none: the outcome is final, there were enough
 * attempts, or the registry asks for a longer pause than may be waited.
 *
 * @param attempts that were made.
 */
export function pauseBeforeRetry(
  outcome: Outcome,
  attempts: number,
  retries: RemoteRetries,
  random: number = Math.random(),
): number | undefined {
  if (attempts >= retries.attempts) return undefined
  const askedMs = askedPause(outcome)
  if (askedMs === undefined || askedMs > retries.maxWaitMs) return undefined
  return backoffMs(attempts, retries.maxWaitMs, askedMs, random)
}

/** Undefined: no pause helps. */
function askedPause(outcome: Outcome): number | undefined {
  if ('status' in outcome)
    return passing.has(outcome.status) ? (retryAfterMsOf(outcome.header('retry-after')) ?? 0) : undefined
  const { error } = outcome
  if (!isDomainError(error, 'unavailable', 'throttled')) return undefined
  return (error.details.retryAfterSeconds ?? 0) * 1000
}

/** Tries until there is an answer that is final, or there have been enough. @throws what the last one has failed with. */
export async function repeated<Answer extends RepeatedAnswer>(
  attempt: () => Promise<Answer>,
  retries: RemoteRetries,
  sleep: Sleep,
  options: Abortable,
): Promise<Answer> {
  for (let attempts = 1; ; attempts += 1) {
    const outcome = await attempt().then(
      answer => ({ answer }),
      (error: unknown) => ({ error }),
    )
    const pause = pauseBeforeRetry('answer' in outcome ? outcome.answer : outcome, attempts, retries)
    if (pause === undefined) {
      if ('error' in outcome) throw outcome.error
      return outcome.answer
    }
    if ('answer' in outcome) outcome.answer.body?.destroy()
    options.signal?.throwIfAborted()
    await sleep(pause, options)
  }
}

interface RepeatedAnswer {
  readonly status: number
  header(name: string): string | undefined
  /** Given up before the next attempt. */
  readonly body?: Readable | undefined
}
