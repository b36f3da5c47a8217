import { Readable } from 'node:stream'
import type { ScrubberSettings } from '../../src/registry/scrub/scrubber.ts'

/** As fast as it goes, and without pauses. */
export const testScrubSettings: ScrubberSettings = {
  bytesPerSecond: 1024 ** 4,
  everyMs: 30 * 24 * 60 * 60 * 1000,
  window: undefined,
  maxMissingPercent: 1,
  keepStraysMs: 14 * 24 * 60 * 60 * 1000,
  settleMs: 60 * 60 * 1000,
  pauseMs: 0,
  tickMs: 60_000,
}

export function bytesStreamOf(bytes: Uint8Array): Readable {
  return Readable.from([bytes], { objectMode: false })
}
