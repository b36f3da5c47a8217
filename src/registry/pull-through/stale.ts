import type { Reply } from '../reply.ts'

/** That what is answered could not be compared with upstream now. */
export interface Staleness {
  /** When it was last compared; undefined when that is not known. */
  readonly checkedAt: Date | undefined
}

/** RFC 9111, 5.5.1 (obsoleted there, and read by people all the same) and 5.1. */
export function markStale(reply: Reply, { checkedAt }: Staleness, now: number): Reply {
  const age =
    checkedAt === undefined
      ? {}
      : { Age: String(Math.max(0, Math.floor((now - checkedAt.getTime()) / 1000))) }
  return { ...reply, headers: { ...reply.headers, ...age, Warning: '110 - "Response is Stale"' } }
}
