import type { Digest } from '../../storage/digest.ts'
import type { UpstreamTag } from '../../storage/metadata/upstream-records.ts'
import type { UpstreamSettings } from './upstream.ts'

/**
 * What is believed of a tag without asking. `fresh`: our copy is what upstream has; `known`: upstream has this digest, which
 * is not under the tag here; `absent`: upstream does not have it; `unknown`: upstream has to be asked.
 */
export type TagState =
  | { readonly kind: 'fresh' | 'absent' | 'unknown' }
  | { readonly kind: 'known'; readonly digest: Digest }

/**
 * @param noted what was found when the tag was last compared. @param local what it names here. @param now milliseconds
 * since 1970.
 */
export function tagStateOf(
  noted: UpstreamTag | undefined,
  local: Digest | undefined,
  { tagFreshSeconds, absentSeconds }: Pick<UpstreamSettings, 'tagFreshSeconds' | 'absentSeconds'>,
  now: number,
): TagState {
  if (noted === undefined) return { kind: 'unknown' }
  const { checkedAt, digest } = noted
  const age = now - checkedAt.getTime()
  const freshMs = 1000 * (digest === null ? absentSeconds : tagFreshSeconds)
  // A clock that was put back makes times to come: they say nothing.
  if (age < -clockLeewayMs || age >= freshMs) return { kind: 'unknown' }
  if (digest === null) return { kind: 'absent' }
  return digest === local ? { kind: 'fresh' } : { kind: 'known', digest }
}

/** Clocks of replicas are not quite the same. */
const clockLeewayMs = 5_000
