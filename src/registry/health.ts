import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isDomainError } from '../errors.ts'
import { type Abortable, orAbort } from '../storage/abortable.ts'

/** What must answer before requests can be served, by name. */
export type HealthChecks = Readonly<Record<string, (options?: Abortable) => Promise<void>>>

/** Probes ask every few seconds; what has not answered by then will not serve a request in time either. */
export const checkTimeoutMs = 5_000

/** Runs all checks at once. @returns one sentence for each that failed, by its name; empty when all is well. */
export async function runChecks(
  checks: HealthChecks,
  signal: AbortSignal,
  timeoutMs: number = checkTimeoutMs,
): Promise<Record<string, string>> {
  const failures = await Promise.all(
    Object.entries(checks).map(async ([name, check]): Promise<[string, string][]> => {
      try {
        await within(check, signal, timeoutMs)
        return []
      } catch (error) {
        signal.throwIfAborted()
        return [[name, isDomainError(error) ? error.message : `The check of ${name} failed.`]]
      }
    }),
  )
  return Object.fromEntries(failures.flat())
}

async function within(
  check: (options?: Abortable) => Promise<void>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  const done = new AbortController()
  const own = AbortSignal.any([signal, done.signal])
  const late = sleep(timeoutMs, undefined, { signal: own, ref: false }).then(
    () => {
      throw new DomainError('unavailable', `There was no answer within ${timeoutMs} ms.`, {
        resource: 'request',
      })
    },
    () => {},
  )
  try {
    await Promise.race([orAbort(check({ signal: own }), signal), late])
  } finally {
    done.abort()
  }
}
