import type { ManifestPolicy } from './collect-records.ts'
import type { KeepTimes } from './keep-times.ts'

/** What is known of a manifest whose time to be looked at has come. Times are milliseconds since 1970. */
export interface ManifestFacts {
  /** A tag, or an index of the repository. */
  readonly isNamed: boolean
  /** Null: it has no subject. */
  readonly subject: 'present' | 'deleted' | 'absent' | null
  readonly releasedAt: number
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
  { isNamed, subject, releasedAt }: ManifestFacts,
  policy: ManifestPolicy,
  { graceMs }: KeepTimes,
  now: number,
): ManifestFate {
  if (isNamed || subject === 'present') return { kind: 'keep' }
  const waitMs = subject === 'deleted' ? waitOfOrphans(policy, graceMs) : waitOfUntagged(policy, graceMs)
  if (waitMs === undefined) return { kind: 'keep' }
  const until = releasedAt + waitMs
  return until <= now ? { kind: 'delete' } : { kind: 'wait', until }
}

function waitOfOrphans({ referrers }: ManifestPolicy, graceMs: number): number | undefined {
  return referrers === 'delete' ? graceMs : undefined
}

/** Whoever was told that it is there may refer to it for the grace. */
export function waitOfUntagged({ untaggedMs }: ManifestPolicy, graceMs: number): number | undefined {
  return untaggedMs === undefined ? undefined : Math.max(untaggedMs, graceMs)
}
