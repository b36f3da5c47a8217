import type { MirrorJob } from '../../mirror-job.ts'
import type { Platform } from '../../storage/platform.ts'
import { parsePlatform } from '../../storage/platform.ts'
import type { ReadableRepository, WritableRepository } from '../../storage/images/image-repository.ts'
import type { MirrorJobName } from '../../storage/metadata/mirror-records.ts'
import { parseMirrorJobName } from './job-name.ts'
import type { RepositoryPair } from './repository-selection.ts'
import { type TagSelection, tagSelection } from './tag-selection.ts'

/** A job as runs and plans read it: the texts in it parsed once. */
export interface ReadyJob {
  readonly name: MirrorJobName
  readonly rules: MirrorJob
  readonly tags: TagSelection
  readonly platforms: readonly Platform[]
}

/** @throws DomainError `invalid` for what {@link MirrorJob}'s schema would not have taken. */
export function readyJob(rules: MirrorJob): ReadyJob {
  return {
    name: parseMirrorJobName(rules.name),
    rules,
    tags: tagSelection(rules.tags),
    platforms: rules.platforms.map(parsePlatform),
  }
}

/** One repository of a job at both ends. */
export interface MirroredRepository {
  readonly pair: RepositoryPair
  readonly source: ReadableRepository
  readonly target: WritableRepository
  /** All tags that the source has; undefined where it was not asked. */
  readonly listed: ReadonlySet<string> | undefined
}
