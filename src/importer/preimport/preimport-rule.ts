import { fitsAny } from '../../storage/name-pattern.ts'
import type { Platform } from '../../storage/platform.ts'
import type { OtherEvent, StreamedEvent } from '../../storage/remote/event-lines.ts'

/** Which images are imported as soon as they are pushed, and how. */
export interface PreimportRule {
  /** Its progress is kept under it. */
  readonly name: string
  /** URL of the stream that tells of pushes. */
  readonly events: string
  /** A file with a token for the stream. */
  readonly tokenFile?: string | undefined
  /** `host[:port]` that images are pulled from. */
  readonly registry: string
  /** Patterns of names (`storage/name-pattern.ts`). */
  readonly repositories: readonly string[]
  readonly tags: readonly string[]
  /** At least one. */
  readonly platforms: readonly Platform[]
  /** The default one unless given. */
  readonly pool?: string | undefined
  readonly priority: number
  /** Name of configured credentials. */
  readonly credentials?: string | undefined
  /** Whether a rule that is new begins with the oldest event that there is, instead of with what happens from then on. */
  readonly fromBeginning: boolean
}

/** The image that an event makes us import; undefined for none. Only that a tag was set is of interest, whatever it was before. */
export function wanted(
  event: StreamedEvent | OtherEvent,
  rule: Pick<PreimportRule, 'registry' | 'repositories' | 'tags'>,
): string | undefined {
  if (event.repository === undefined) return undefined
  const { kind, action, repository, tag } = event
  if (kind !== 'tag' || action !== 'tag' || tag === undefined) return undefined
  if (!fitsAny(rule.repositories, repository) || !fitsAny(rule.tags, tag)) return undefined
  return `${rule.registry}/${repository}:${tag}`
}
