import { minuteMs } from '../../storage/durations.ts'
import { addressGroup } from '../auth/identities/address-group.ts'

/** Addresses that are counted apart; all others count as one. */
const maxAddresses = 10_000

/**
 * How many refusals of one address are kept in a minute: who is refused costs nothing, and must neither fill the
 * database nor drive what others do out of the queue.
 */
export class RefusalLimit {
  readonly #perMinute: number
  readonly #now: () => number
  #since: number
  #counts = new Map<string, number>()

  constructor(perMinute: number, now: () => number) {
    this.#perMinute = perMinute
    this.#now = now
    this.#since = now()
  }

  /** Whether one more of this address may be kept. @returns `first` for the first that may not. */
  take(address: string): 'kept' | 'first' | 'over' {
    const now = this.#now()
    // A clock that was set back would keep what is counted for as long.
    if (now - this.#since >= minuteMs || now < this.#since) {
      this.#since = now
      this.#counts = new Map()
    }
    const group = addressGroup(address)
    const key = this.#counts.has(group) || this.#counts.size < maxAddresses ? group : ''
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count <= this.#perMinute) return 'kept'
    return count === this.#perMinute + 1 ? 'first' : 'over'
  }
}
