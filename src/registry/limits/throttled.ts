import { DomainError } from '../../errors.ts'
import type { LimitedParty } from './limited-party.ts'

/** What was refused, for the metrics: a bounded set of names. */
export type LimitName = 'requests' | 'logins' | 'uploads' | 'quota'

export type OnLimited = (limit: LimitName) => void

/** @param what comes too often, as in `requests`. */
export function throttled(what: string, { kind, name }: LimitedParty, waitMs: number): DomainError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  return new DomainError(
    'throttled',
    `Too many ${what} of the ${kind} ${name}; come again in ${seconds} s.`,
    { resource: 'request', name, retryAfterSeconds: seconds, rule: `limit of ${what}` },
  )
}
