import type { PullQuota } from './remote-registries.ts'

/**
 * Docker Hub's `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 20;w=21600`: manifests in so many seconds.
 * Undefined where what remains is not told, which is how there being no limit is told.
 */
export function pullQuotaOf(header: (name: string) => string | undefined, at: Date): PullQuota | undefined {
  const remaining = amountOf(header('ratelimit-remaining'))
  if (remaining === undefined) return undefined
  const limit = amountOf(header('ratelimit-limit'))
  return {
    limit: limit?.amount,
    remaining: remaining.amount,
    windowSeconds: limit?.seconds ?? remaining.seconds,
    at,
  }
}

function amountOf(header: string | undefined): { amount: number; seconds: number | undefined } | undefined {
  const [, amount, seconds] = /^\s*(\d{1,12})\s*(?:;\s*w=(\d{1,9}))?/.exec(header ?? '') ?? []
  if (amount === undefined) return undefined
  return { amount: Number(amount), seconds: seconds === undefined ? undefined : Number(seconds) }
}
