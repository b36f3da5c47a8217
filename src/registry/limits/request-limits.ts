import type { Handler, HandlerLayer } from '../handler.ts'
import { addressPartyOf, PartyBuckets, partyOf } from './limited-party.ts'
import { type OnLimited, throttled } from './throttled.ts'
import type { Rate } from '../../storage/streams/token-bucket.ts'

export interface RequestLimitsOptions {
  /** Of one account, or of one address where there is no account. Undefined: no limit. */
  readonly requests: Rate | undefined
  /** Of one address, to the operations that take passwords. */
  readonly logins: Rate
  readonly now: () => number
  readonly onLimited: OnLimited
}

/** Asked by whoever decides whether this process gets any requests. */
const unlimited: ReadonlySet<string> = new Set(['live', 'ready'])

/** They find out who is there by a slow hash, so they are counted before anybody is known. */
const loginOperations: ReadonlySet<string> = new Set([
  'token.get',
  'token.post',
  'login.start',
  'login.finish',
])

/** Refuses, with `throttled`, what comes faster than it may. */
export class RequestLimits implements HandlerLayer {
  readonly #requests: PartyBuckets | undefined
  readonly #logins: PartyBuckets
  readonly #onLimited: OnLimited

  constructor({ requests, logins, now, onLimited }: RequestLimitsOptions) {
    this.#requests = requests && new PartyBuckets({ rate: requests, now })
    this.#logins = new PartyBuckets({ rate: logins, now })
    this.#onLimited = onLimited
  }

  around(operation: string, handler: Handler): Handler {
    if (unlimited.has(operation)) return handler
    if (loginOperations.has(operation))
      return request => {
        const party = addressPartyOf(request)
        const waitMs = this.#logins.tryTake(party)
        if (waitMs === 0) return handler(request)
        this.#onLimited('logins')
        throw throttled('logins', party, waitMs)
      }
    const buckets = this.#requests
    if (buckets === undefined) return handler
    return request => {
      const party = partyOf(request)
      const waitMs = buckets.tryTake(party)
      if (waitMs === 0) return handler(request)
      this.#onLimited('requests')
      throw throttled('requests', party, waitMs)
    }
  }
}
