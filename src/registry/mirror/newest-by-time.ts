import pLimit from 'p-limit'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import type { ReadableRepository } from '../../storage/images/image-repository.ts'
import type { ManifestInfo } from '../../storage/metadata/manifest-records.ts'
import type { Platform } from '../../storage/platform.ts'
import type { Tag } from '../../storage/reference.ts'
import { creationTimeOf } from './creation-time.ts'
import type { CreationTimes } from './creation-times.ts'
import { byteOrder } from './tag-selection.ts'

/** Each of them costs requests. */
const maxCompared = 1000

/** Of two repositories, one of which has what the other may have. */
export interface Ends {
  readonly source: ReadableRepository
  readonly target: ReadableRepository
}

export interface NewestOptions extends Abortable {
  readonly count: number
  readonly platforms: readonly Platform[]
  readonly concurrency: number
  readonly times: CreationTimes
}

/** A tag, and what it names where that has been asked already. */
export interface FoundTag {
  readonly tag: Tag
  readonly found?: ManifestInfo | undefined
}

/**
 * The tags whose images say that they were made last, newest first. Costs a HEAD for each tag, and the manifests and the
 * config of what has not been looked at before.
 * @throws DomainError `too_large` for more tags than 1,000.
 */
export async function newestByTime(
  ends: Ends,
  tags: readonly Tag[],
  { count, platforms, concurrency, times, signal }: NewestOptions,
): Promise<FoundTag[]> {
  if (tags.length > maxCompared)
    throw new DomainError(
      'too_large',
      `${tags.length} tags of ${ends.source.label} fit, and to find the newest by time at most ${maxCompared} are looked at; let fewer fit, or order them by version with tags.semver.`,
      { resource: 'tag' },
    )
  // When one question fails, the others are asked no more.
  const done = new AbortController()
  const asking: Abortable = {
    signal: signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]),
  }
  const dated = pLimit(concurrency).map(tags, async tag => {
    asking.signal?.throwIfAborted()
    const found = await ifThere(ends.source.stat({ kind: 'tag', tag }, asking))
    if (found === undefined) return []
    const time = times.get(found.digest) ?? (await ifThere(creationTimeOf(ends, found, platforms, asking)))
    if (time === undefined) return []
    times.set(found.digest, time)
    return [{ tag, found, time }]
  })
  try {
    return (await dated)
      .flat()
      .sort((one, other) => other.time - one.time || byteOrder(other.tag, one.tag))
      .slice(0, count)
      .map(({ tag, found }) => ({ tag, found }))
  } finally {
    done.abort()
  }
}
