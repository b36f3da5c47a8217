import type { Logger } from '../../log.ts'
import { errnoOf, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type EventRecords, isContentEvent } from '../../storage/metadata/event-records.ts'
import type { RetentionRecords } from '../../storage/metadata/retention-records.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'
import { rest } from '../rest.ts'
import { type LabelSources, readExpiryLabel } from './label-reader.ts'

export interface LabelFollowerParts {
  readonly records: LabelSources['records'] &
    Pick<EventRecords, 'listEvents'> &
    Pick<RetentionRecords, 'retentionState' | 'saveLabelPosition' | 'findTagFacts' | 'noteTagExpiry'>
  readonly blobs: LabelSources['blobs']
  readonly isExempt: (repository: RepositoryName) => boolean
  readonly log: Logger
}

/** Failures that are not of the image: it is read again when they are over. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'busy', 'no_space', 'throttled'])

/** Events of one statement. */
const eventsAtOnce = 200

/**
 * Reads the labels of what tags were set to since the last time, in the order of the events, until `endMs`. Where it has
 * come to is written down after each page: whatever dies in between, each tag is looked at, some of them twice.
 * @returns for how many tags a label says when they go, and whether there are more events.
 */
export async function followLabels(
  parts: LabelFollowerParts,
  endMs: number,
  options: Abortable,
): Promise<{ readonly labelled: number; readonly hasMore: boolean }> {
  const { records } = parts
  let { labelsAt } = await records.retentionState(options)
  let labelled = 0
  while (performance.now() < endMs) {
    const events = await records.listEvents({ after: labelsAt, limit: eventsAtOnce }, options)
    const last = events.at(-1)
    if (last === undefined) return { labelled, hasMore: false }
    let position = last.position
    const seen = new Set<string>()
    for (const event of events) {
      if (!isContentEvent(event) || event.kind !== 'tag' || event.action !== 'tag') continue
      const { repository, tag } = event
      const key = `${repository}:${tag}`
      // What it names now is what counts.
      if (tag === undefined || seen.has(key) || parts.isExempt(repository)) continue
      seen.add(key)
      const beganAt = performance.now()
      if (await noteLabel(parts, repository, tag, options)) labelled += 1
      await rest(beganAt, options)
      if (performance.now() < endMs) continue
      position = event.position
      break
    }
    await records.saveLabelPosition(position, options)
    labelsAt = position
    if (position === last.position && events.length < eventsAtOnce) return { labelled, hasMore: false }
  }
  return { labelled, hasMore: true }
}

async function noteLabel(
  { records, blobs, log }: LabelFollowerParts,
  repository: RepositoryName,
  tag: Tag,
  options: Abortable,
): Promise<boolean> {
  const facts = await records.findTagFacts(repository, tag, options)
  if (facts === undefined || facts.isImmutable) return false
  const { digest, pushedAt } = facts
  try {
    const ms = await readExpiryLabel({ records, blobs }, repository, digest, options)
    if (ms === undefined) return false
    const expiresAt = new Date(pushedAt.getTime() + ms)
    return await records.noteTagExpiry({ repository, tag, digest, setAt: pushedAt, expiresAt }, options)
  } catch (error) {
    // A bad block of a disk does not pass: it is one image's trouble, and others must not wait for it.
    if (!isDomainError(error) || (passing.has(error.code) && errnoOf(error.cause) !== 'EIO')) throw error
    log.warn({ repository, tag, reason: error.message }, 'the labels of an image could not be read')
    return false
  }
}
