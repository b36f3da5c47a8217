/** How much had come at one moment. */
export interface Sample {
  /** Milliseconds since some moment, never backwards. */
  readonly at: number
  readonly bytes: number
}

/** Long enough to smooth what comes in bursts, short enough to show a line that has become slow. */
const windowMs = 5000

/** `samples`, oldest first, with a new one: those that a rate of the last seconds needs, and no older ones. */
export function withSample(samples: readonly Sample[], sample: Sample): Sample[] {
  const last = samples.at(-1)
  // A download that began anew.
  if (last !== undefined && sample.bytes < last.bytes) return [sample]
  // One from before the window stays: what has come since then is known only by it.
  const firstInside = samples.findIndex(({ at }) => at > sample.at - windowMs)
  const from = firstInside === -1 ? samples.length - 1 : firstInside - 1
  return [...samples.slice(Math.max(0, from)), sample]
}

/** Bytes per second, whole; 0 as long as there is nothing to tell it from. */
export function bytesPerSecond(samples: readonly Sample[]): number {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || last.at <= first.at) return 0
  return Math.round(((last.bytes - first.bytes) * 1000) / (last.at - first.at))
}
