import { LRUCache } from 'lru-cache'
import { DomainError } from '../../../errors.ts'
import { accountKindOf } from '../../../storage/accounts/names.ts'
import { addressGroup } from './address-group.ts'
import { afterFailure, type DelayPolicy, type Failures, waitMs } from './failures.ts'

export interface LoginDelayOptions {
  /** Wrong passwords for an account, from one address, that cost nothing. */
  readonly maxFailures: number
  /** The longest delay, in milliseconds. */
  readonly maxDelayMs: number
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
  /** Accounts at addresses, and addresses, that are remembered; 20,000 of each unless given. */
  readonly capacity?: number | undefined
}

/** A login whose password is being looked at. Exactly one of its methods is called. */
export interface LoginAttempt {
  succeeded(): void
  failed(): void
  /** It could not be known. */
  abandoned(): void
}

/** Somebody at an address tries many accounts where another one only has many users. */
const addressFactor = 10
/** Logins of one address that are looked at together: a part of what waits for bcrypt, so that others have room. */
const maxAtOnce = 16
const firstMs = 1_000

/**
 * Makes guessing slow: after a few wrong passwords for an account from an address, the next one is only looked at after
 * a while, which doubles each time; the same for an address with many more. An account is never closed to other
 * addresses, so nobody can lock somebody else out. Nothing is held: who comes too early is refused and told when to come.
 *
 * Of this process only, so `registry.workers` of them let that many times as much through.
 */
export class LoginDelay {
  readonly #accountPolicy: DelayPolicy
  readonly #addressPolicy: DelayPolicy
  readonly #now: () => number
  readonly #accounts: LRUCache<string, Failures>
  readonly #addresses: LRUCache<string, Failures>
  /** Attempts that are under way, by the keys of both. */
  readonly #underWay = new Map<string, number>()

  constructor({ maxFailures, maxDelayMs: maxMs, now, capacity = 20_000 }: LoginDelayOptions) {
    this.#accountPolicy = { free: maxFailures, firstMs, maxMs }
    this.#addressPolicy = { free: maxFailures * addressFactor, firstMs, maxMs }
    this.#now = now ?? (() => performance.now())
    this.#accounts = new LRUCache({ max: capacity })
    this.#addresses = new LRUCache({ max: capacity })
  }

  /** @throws DomainError `throttled` when this account at this address, or this address, has to wait. */
  begin(username: string, address: string): LoginAttempt {
    const group = addressGroup(address)
    const account = `${group} ${username.slice(0, 256)}`
    this.#check(this.#accounts.get(account), this.#accountPolicy, account, this.#accountPolicy.free, username)
    this.#check(this.#addresses.get(group), this.#addressPolicy, group, maxAtOnce, username)
    this.#count(account, 1)
    this.#count(group, 1)
    const end = (): void => {
      this.#count(account, -1)
      this.#count(group, -1)
    }
    return {
      succeeded: () => {
        end()
        // Not those of the address: who has one account there must not get more guesses at others by it.
        this.#accounts.delete(account)
      },
      failed: () => {
        end()
        const now = this.#now()
        this.#accounts.set(account, afterFailure(this.#accounts.get(account), now, this.#accountPolicy))
        this.#addresses.set(group, afterFailure(this.#addresses.get(group), now, this.#addressPolicy))
      },
      abandoned: end,
    }
  }

  /** Those under way may all be wrong; without that, guesses would be free to whoever sends them together. */
  #check(
    failures: Failures | undefined,
    policy: DelayPolicy,
    key: string,
    atOnce: number,
    username: string,
  ): void {
    const wait = waitMs(failures, this.#now(), policy)
    const underWay = this.#underWay.get(key) ?? 0
    const mayBegin = wait === 0 && underWay < Math.max(atOnce - (failures?.count ?? 0), 1)
    if (mayBegin) return
    const seconds = Math.max(Math.ceil(wait / 1000), 1)
    throw new DomainError(
      'throttled',
      `Too many wrong passwords; the next one is looked at in ${seconds} s.`,
      {
        resource: 'account',
        retryAfterSeconds: seconds,
        rule: 'delay after wrong passwords',
        // What is no account's name may be a password in the wrong place.
        claimed: accountKindOf(username) === undefined ? undefined : username,
      },
    )
  }

  #count(key: string, change: number): void {
    const count = (this.#underWay.get(key) ?? 0) + change
    if (count > 0) this.#underWay.set(key, count)
    else this.#underWay.delete(key)
  }
}
