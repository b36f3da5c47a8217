import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../storage/digest.ts'
import type { DigestSet, ManifestCondition } from '../storage/metadata/manifest-condition.ts'
import type { Reference } from '../storage/reference.ts'

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

/**
 * What a push makes conditional on what `reference` stands for (RFC 9110, 13.1.1 and 13.1.2), so that two clients
 * that read, change and write the same tag cannot overwrite each other. Bare digests are taken here, too. A weak
 * entity tag never satisfies `If-Match`.
 */
export function manifestConditionOf(
  headers: IncomingHttpHeaders,
  reference: Reference,
): ManifestCondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return {
    reference,
    match: ifMatch === undefined ? undefined : digestSetOf(ifMatch.split(',')),
    noneMatch:
      ifNoneMatch === undefined
        ? undefined
        : digestSetOf(ifNoneMatch.split(',').map(tag => tag.trim().replace(/^W\//, ''))),
  }
}

function digestSetOf(entityTags: readonly string[]): DigestSet {
  const tags = entityTags.map(tag => tag.trim())
  return tags.includes('*') ? 'any' : new Set(tags.map(tag => tag.replace(/^"(.*)"$/, '$1')))
}
