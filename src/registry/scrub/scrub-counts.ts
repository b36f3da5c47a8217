import type { CheckedFault, CheckOutcome } from './check-blob.ts'

/** What was done, since it was last asked. */
export interface ScrubCounts {
  /** Blobs that were looked at, and bytes that were read, of objects without a name, too. */
  readonly blobs: number
  readonly bytes: number
  readonly corrupt: number
  readonly missing: number
  /** Quarantined blobs whose bytes were found again. */
  readonly healed: number
  /** Objects without a name that were read. */
  readonly strays: number
  /** Of these, those that were given up. */
  readonly discarded: number
  /** Objects that could not be judged: the store failed with them alone, or each look showed something else. */
  readonly unsettled: number
}

export const noCounts: ScrubCounts = Object.freeze({
  blobs: 0,
  bytes: 0,
  corrupt: 0,
  missing: 0,
  healed: 0,
  strays: 0,
  discarded: 0,
  unsettled: 0,
})

/** Adds up. */
export class ScrubTally {
  #counts: { -readonly [Name in keyof ScrubCounts]: number } = { ...noCounts }

  get counts(): ScrubCounts {
    return { ...this.#counts }
  }

  add(name: keyof ScrubCounts, count = 1): void {
    this.#counts[name] += count
  }

  checked(outcome: CheckOutcome): void {
    if (outcome !== 'refused') this.add('blobs')
    if (outcome === 'unsettled' || outcome === 'corrupt' || outcome === 'missing' || outcome === 'healed')
      this.add(outcome)
  }

  found({ isHealed }: CheckedFault): void {
    if (isHealed) this.add('healed')
  }

  /** What has been counted so far, and is not counted again. */
  take(): ScrubCounts {
    const counts = this.counts
    this.#counts = { ...noCounts }
    return counts
  }
}
