import { isDomainError } from '../../errors.ts'
import { backoffMs } from '../backoff.ts'
import type { RemoteRetries } from './remote-registries.ts'
import { retryAfterMsOf } from './retry-after.ts'

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
