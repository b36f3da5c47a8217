import { algorithmOf, type Digest, hexOf } from '../digest.ts'
import { parseTag, type Tag } from '../reference.ts'

/** Signatures, attestations and bills of materials. */
const suffixes = ['sig', 'att', 'sbom'] as const

/** `sha256-….sig` and its like: where cosign puts what belongs to a manifest without the help of referrers. */
export function cosignTagsOf(digest: Digest): Tag[] {
  // A sha512 digest in hex is longer than a tag may be.
  if (algorithmOf(digest) !== 'sha256') return []
  return suffixes.map(suffix => parseTag(`sha256-${hexOf(digest)}.${suffix}`))
}
