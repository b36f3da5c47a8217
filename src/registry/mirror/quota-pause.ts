import type { PullQuota } from '../../storage/remote/remote-registries.ts'

/** What is waited for when the source does not say how long its window is. */
const unknownWindowSeconds = 3600

/** No source is believed that wants a longer wait at once: Docker Hub's window, the longest known, is six hours. */
export const maxPauseMs = 6 * 3_600_000

/**
 * When work may go on that counts as a pull, if the source has said that too little is left; undefined: now. What was said
 * before a window that is over says nothing.
 */
export function quotaPause(quota: PullQuota | undefined, pullsLeft: number, now: Date): Date | undefined {
  if (quota === undefined || quota.remaining > pullsLeft) return undefined
  const windowMs = Math.min((quota.windowSeconds ?? unknownWindowSeconds) * 1000, maxPauseMs)
  const until = new Date(quota.at.getTime() + windowMs)
  return until > now ? until : undefined
}
