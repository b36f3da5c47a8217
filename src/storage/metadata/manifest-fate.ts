import type { ManifestPolicy } from './collect-records.ts'
import type { KeepTimes } from './keep-times.ts'

/** What is known of a manifest whose time to be looked at has come. Times are milliseconds since 1970. */
export interface ManifestFacts {
  /** A tag, or an index of the repository; or what was deleted and can be taken back, with which it comes back. */
  readonly isNamed: boolean
  /** Null: it has no subject. */
  readonly subject: 'present' | 'deleted' | 'absent' | null
  readonly releasedAt: number
  /** Whether the retention has let go of it. */
  readonly isDropped: boolean
}

/** `wait` until then; `keep` until somebody lets go of it again. */
export type ManifestFate =
  | { readonly kind: 'keep' | 'delete' }
  | { readonly kind: 'wait'; readonly until: number }

/**
 * What becomes of a manifest. A referrer lives as long as its subject, whatever that is kept by; one whose subject was
 * never there is like any other manifest.
 */
export function fateOf(
  { isNamed, subject, releasedAt, isDropped }: ManifestFacts,
  policy: ManifestPolicy,
  times: KeepTimes,
  now: number,
): ManifestFate {
  if (isNamed || subject === 'present') return { kind: 'keep' }
  const waitMs = isDropped
    ? waitOfDropped(times)
    : subject === 'deleted'
      ? waitOfOrphans(policy, times)
      : waitOfUntagged(policy, times)
  if (waitMs === undefined) return { kind: 'keep' }
  const until = releasedAt + waitMs
  return until <= now ? { kind: 'delete' } : { kind: 'wait', until }
}

/** Whoever was told that it is there may refer to it for the grace; and for so long it can be taken back. */
export function waitOfDropped({ graceMs, undeleteMs }: KeepTimes): number {
  return Math.max(graceMs, undeleteMs)
}

/** The subject may come back, and its referrers with it. */
function waitOfOrphans({ referrers }: ManifestPolicy, times: KeepTimes): number | undefined {
  return referrers === 'delete' ? waitOfDropped(times) : undefined
}

/** What had a tag can be taken back as long as what was deleted. */
export function waitOfUntagged({ untaggedMs }: ManifestPolicy, times: KeepTimes): number | undefined {
  return untaggedMs === undefined ? undefined : Math.max(untaggedMs, waitOfDropped(times))
}
