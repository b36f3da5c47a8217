import type { Digest } from '../digest.ts'
import type { Reference } from '../reference.ts'

/** Digests that a reference may stand for, or `any` for whatever is there. */
export type DigestSet = 'any' | ReadonlySet<string>

/** What must be true of a reference at the moment of a push (RFC 9110, 13.1.1 and 13.1.2). */
export interface ManifestCondition {
  readonly reference: Reference
  /** It stands for one of these. */
  readonly match?: DigestSet | undefined
  /** It stands for none of these. */
  readonly noneMatch?: DigestSet | undefined
}

/** @param current what the reference stands for; undefined when there is no such manifest. */
export function holds({ match, noneMatch }: ManifestCondition, current: Digest | undefined): boolean {
  if (match !== undefined && !has(match, current)) return false
  return noneMatch === undefined || !has(noneMatch, current)
}

function has(set: DigestSet, current: Digest | undefined): boolean {
  return current !== undefined && (set === 'any' || set.has(current))
}
