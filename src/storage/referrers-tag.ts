import { algorithmOf, type Digest, hexOf } from './digest.ts'
import { parseTag, type Tag } from './reference.ts'

/** The tag that has the referrers where there is no API for them (distribution-spec, "Referrers Tag Schema"). */
export function referrersTagOf(subject: Digest): Tag {
  return parseTag(`${algorithmOf(subject).slice(0, 32)}-${hexOf(subject).slice(0, 64)}`)
}
