import { DomainError } from '../../errors.ts'
import type { Handler } from '../handler.ts'
import { type HealthChecks, runChecks } from '../health.ts'
import { json } from '../reply.ts'

/** The process answers; asks nothing of anybody else, so that a database outage restarts no process. */
export const getLive: Handler = () => json(200, { status: 'live' })

/** Requests can be served. @throws DomainError `unavailable` when a store does not answer. */
export function createReadyHandler(checks: HealthChecks): Handler {
  return async ({ signal }) => {
    const failures = Object.entries(await runChecks(checks, signal))
    if (failures.length > 0)
      throw new DomainError('unavailable', failures.map(([name, why]) => `${name}: ${why}`).join(' '), {
        resource: 'request',
      })
    return json(200, { status: 'ready' })
  }
}

/** As distribution's: an empty object, or 503 and what is wrong by the name of the check. For operators only. */
export function createDebugHealthHandler(checks: HealthChecks): Handler {
  return async ({ signal }) => {
    const failures = await runChecks(checks, signal)
    return json(Object.keys(failures).length === 0 ? 200 : 503, failures)
  }
}
