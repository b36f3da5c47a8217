import { randomInt } from 'node:crypto'
import { type Rate, take } from '../../storage/streams/token-bucket.ts'

export interface BucketTableOptions {
  readonly rate: Rate
  /** Milliseconds that only grow. */
  readonly now: () => number
  /** Buckets that are kept at most. */
  readonly size?: number | undefined
}

const defaultSize = 65_536

/** Buckets that those share who come while the table is full. */
const sharedBuckets = 256

/** Buckets that are looked at to make room for one. */
const looks = 8

/**
 * A bucket for each of any number of names, in bounded memory.
 *
 * A bucket that is full again says nothing, so it is forgotten without a loss, and no other is: however many names
 * somebody comes with, nobody's debt is forgotten by that, not even his own. Those who come while the table is full of
 * debtors share buckets by lot until there is room.
 */
export class BucketTable {
  readonly #rate: Rate
  readonly #now: () => number
  readonly #size: number
  /** When each is full again; those that were taken from last are last. */
  readonly #buckets = new Map<string, number>()
  readonly #shared = new Float64Array(sharedBuckets)
  readonly #seed = randomInt(2 ** 32)

  constructor({ rate, now, size = defaultSize }: BucketTableOptions) {
    this.#rate = rate
    this.#now = now
    this.#size = size
  }

  /** Buckets that are kept. */
  get size(): number {
    return this.#buckets.size
  }

  /** Takes what is there now. Answers 0, or after how many milliseconds it would be there: then nothing is taken. */
  tryTake(name: string, amount = 1): number {
    return this.#take(name, amount, false)
  }

  /** Takes it, be it there or not. Answers after how many milliseconds it is. */
  take(name: string, amount: number): number {
    return this.#take(name, amount, true)
  }

  #take(name: string, amount: number, mayOwe: boolean): number {
    const now = this.#now()
    const isKept = this.#buckets.has(name) || this.#makeRoom(now)
    const place = isKept ? 0 : this.#placeOf(name)
    const before = isKept ? this.#buckets.get(name) : this.#shared[place]
    const { fullAt, waitMs } = take(this.#rate, before, amount, now)
    if (waitMs > 0 && !mayOwe) return waitMs
    if (isKept) {
      this.#buckets.delete(name)
      this.#buckets.set(name, fullAt)
    } else this.#shared[place] = fullAt
    return waitMs
  }

  /** Answers whether there is room for one more. */
  #makeRoom(now: number): boolean {
    if (this.#buckets.size < this.#size) return true
    let left = looks
    for (const [name, fullAt] of this.#buckets) {
      if (fullAt <= now) this.#buckets.delete(name)
      left -= 1
      if (left === 0) break
    }
    return this.#buckets.size < this.#size
  }

  /** FNV-1a from a start that nobody knows, so that nobody can choose whose bucket to share. */
  #placeOf(name: string): number {
    let hash = this.#seed
    for (let index = 0; index < name.length; index++)
      hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
    return ((hash ^ (hash >>> 16)) >>> 0) % sharedBuckets
  }
}
