import { LRUCache } from 'lru-cache'
import type { Identity, Login } from '../identity.ts'
import { HiddenTexts } from './hidden-texts.ts'

export interface RightLoginsOptions {
  /** Milliseconds that a login is remembered; 60,000 unless given. */
  readonly forMs?: number | undefined
  /** 10,000 unless given. */
  readonly capacity?: number | undefined
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
}

/** What stands for a name and its password here. */
export type LoginKey = string & { readonly __brand: 'LoginKey' }

/**
 * Logins that were right a moment ago, so that bcrypt is not done for each request of a client that sends its password
 * with all of them. Whoever takes one from here asks whether its account still has the stamp that is kept with it: so a
 * password that was changed, or an account that was disabled, is good for nothing from then on.
 */
export class RightLogins {
  readonly #hidden = new HiddenTexts()
  readonly #identities: LRUCache<LoginKey, Identity>

  constructor({ forMs = 60_000, capacity = 10_000, now }: RightLoginsOptions = {}) {
    const perf = now === undefined ? performance : { now }
    this.#identities = new LRUCache({ max: capacity, ttl: forMs, ttlResolution: 0, perf })
  }

  keyOf({ username, password }: Login): LoginKey {
    // JSON keeps apart where the name ends and the password begins.
    return this.#hidden.of(JSON.stringify([username, password])) as LoginKey
  }

  find(key: LoginKey): Identity | undefined {
    return this.#identities.get(key)
  }

  keep(key: LoginKey, identity: Identity): void {
    this.#identities.set(key, identity)
  }
}
