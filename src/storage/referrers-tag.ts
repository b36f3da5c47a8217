import { algorithmOf, type Digest, hexOf, parseDigest } from './digest.ts'
import { parseTag, type Tag } from './reference.ts'

/** The tag that has the referrers where there is no API for them (distribution-spec, "Referrers Tag Schema"). */
export function referrersTagOf(subject: Digest): Tag {
  return parseTag(`${algorithmOf(subject).slice(0, 32)}-${hexOf(subject).slice(0, 64)}`)
}

/** Of cosign (`sha256-….sig`), or in the place of the referrers API. */
const ownedTag = /^(sha256|sha512)-([0-9a-f]{32,})(?:$|\.)/

/**
 * Whether a tag belongs to a manifest by its name, and to which, as far as the name tells: of a longer digest it has only
 * a part.
 */
export function ownerOfTag(tag: string): { readonly digest: Digest | undefined } | undefined {
  const [, algorithm, hex = ''] = ownedTag.exec(tag) ?? []
  if (algorithm === undefined) return undefined
  return { digest: algorithm === 'sha256' && hex.length === 64 ? parseDigest(`sha256:${hex}`) : undefined }
}
