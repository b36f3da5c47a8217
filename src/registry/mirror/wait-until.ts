import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'

/** A clock that is set meanwhile is looked at again after so long; timers themselves know nothing of it. */
const longestMs = 60_000

/** Waits until then, by the clock. An abort ends it, with the signal's reason. */
export async function waitUntil(until: Date, { signal }: Abortable = {}): Promise<void> {
  for (;;) {
    signal?.throwIfAborted()
    const left = until.getTime() - Date.now()
    if (left <= 0) return
    await sleep(Math.min(left, longestMs), undefined, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw error
    })
  }
}
