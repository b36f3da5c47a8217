import type { Digest } from '../storage/digest.ts'

/** Content never changes under a digest, so the digest is a strong validator. */
export function etagOf(digest: Digest): string {
  return `"${digest}"`
}

/** RFC 9110, 13.1.2, by weak comparison; bare digests are taken too, because clients send them. */
export function matchesNone(ifNoneMatch: string | undefined, digest: Digest): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch
    .split(',')
    .map(candidate => candidate.trim().replace(/^W\//, ''))
    .some(candidate => candidate === '*' || candidate === digest || candidate === etagOf(digest))
}

/** RFC 9110, 13.1.5: whether a `Range` still counts. Dates never match, since blobs have none. */
export function rangeStillCounts(ifRange: string | undefined, digest: Digest): boolean {
  return ifRange === undefined || ifRange.trim() === etagOf(digest)
}
