import semver from 'semver'
import type { MirrorJob } from '../../mirror-job.ts'
import { parseTag, type Tag } from '../../storage/reference.ts'

/** Which tags a job means; what `src/mirror-job.ts` says of `tags`, ready to be asked about many. */
export interface TagSelection {
  /** To be mirrored by name, whatever the source lists. */
  readonly names: readonly Tag[]
  /** Whether more tags than the names may fit, so that the source is to be asked which there are. */
  readonly isOpen: boolean
  /** How many at most of those that fit and are not in `names`, and what is newest. */
  readonly newest: { readonly count: number; readonly by: 'version' | 'time' } | undefined
  /** Whether a tag is one of the names, or one that the rules let in; `newest` is not looked at. */
  readonly means: (tag: string) => boolean
  readonly isImmutable: (tag: string) => boolean
}

/**
 * What names a digest, of cosign (`sha256-….sig`) or in the place of the referrers API (`sha256-…`), is no version of an
 * image: it goes with what it belongs to.
 */
const attachedPattern = /^sha(?:256|512)-[0-9a-f]{32,}/

export function isAttachedTag(tag: string): boolean {
  return attachedPattern.test(tag)
}

export function tagSelection(rules: MirrorJob['tags']): TagSelection {
  const names = new Set(rules.names)
  const isOpen =
    names.size === 0 || rules.include.length > 0 || rules.semver !== undefined || rules.newest !== undefined
  const include = wholes(rules.include)
  const exclude = wholes(rules.exclude)
  const immutable = wholes(rules.immutable)
  const range = rules.semver === undefined ? undefined : new semver.Range(rules.semver, { loose: true })
  const fits = (tag: string): boolean =>
    isOpen &&
    !isAttachedTag(tag) &&
    (include.length === 0 || isAny(include, tag)) &&
    !isAny(exclude, tag) &&
    (range === undefined || isIn(range, tag))
  return {
    names: [...names].map(parseTag),
    isOpen,
    newest:
      rules.newest === undefined
        ? undefined
        : { count: rules.newest, by: range === undefined ? 'time' : 'version' },
    means: tag => names.has(tag) || fits(tag),
    isImmutable: tag => isAny(immutable, tag),
  }
}

/** The newest versions, newest first; of two that are the same version, such as `1.2.3` and `v1.2.3`, both may be among them. */
export function newestVersions(tags: readonly Tag[], count: number): Tag[] {
  return tags
    .map(tag => ({ tag, version: semver.parse(tag, { loose: true }) }))
    .flatMap(({ tag, version }) => (version === null ? [] : [{ tag, version }]))
    .sort((one, other) => other.version.compare(one.version) || byteOrder(one.tag, other.tag))
    .slice(0, count)
    .map(({ tag }) => tag)
}

/** As `sort` takes it. */
export function byteOrder(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? -1 : 1
}

/** That fit a tag as a whole; by the `u` flag, as `src/mirror-job.ts` has checked them. */
function wholes(patterns: readonly string[]): RegExp[] {
  return patterns.map(pattern => new RegExp(`^(?:${pattern})$`, 'u'))
}

function isAny(patterns: readonly RegExp[], tag: string): boolean {
  return patterns.some(pattern => pattern.test(tag))
}

function isIn(range: semver.Range, tag: string): boolean {
  const version = semver.parse(tag, { loose: true })
  return version !== null && range.test(version)
}
