import type { Logger } from '../../log.ts'
import type { MirrorJob } from '../../mirror-job.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { CopyImage, CopyProgress } from '../../storage/images/copy-image.ts'
import type { ImageRegistry, WritableRepository } from '../../storage/images/image-repository.ts'
import type {
  MirrorOutcome,
  MirrorRecords,
  MirrorResult,
  MirrorRunId,
  MirrorTotals,
} from '../../storage/metadata/mirror-records.ts'
import type { PullQuota } from '../../storage/remote/remote-registries.ts'
import type { CreationTimes } from './creation-times.ts'
import type { MirrorTraffic } from './mirror-traffic.ts'

/** Where a job reads: our own stores, or a registry that may say how much may still be pulled from it. */
export interface MirrorSource extends ImageRegistry {
  readonly pullQuota?: PullQuota | undefined
}

export type MirrorTarget = ImageRegistry<WritableRepository>

/** What a plan needs, and a run as well. Nothing in it is asked for more than the job. */
export interface MirrorPlanContext extends Abortable {
  readonly source: MirrorSource
  readonly target: MirrorTarget
  readonly records: Pick<MirrorRecords, 'findMirroredTag'>
  /** What both ends were opened with as their `traffic`, so that it is known what was asked. */
  readonly traffic: MirrorTraffic
  /** The time; `new Date()` unless given. */
  readonly now?: (() => Date) | undefined
  /** What is known of when images were made: shared by runs, it spares `newest` most of its requests. */
  readonly creationTimes?: CreationTimes | undefined
}

export interface MirrorRunContext extends MirrorPlanContext {
  readonly records: Pick<
    MirrorRecords,
    'findMirroredTag' | 'noteMirroredTag' | 'addMirrorResults' | 'saveMirrorRun'
  >
  /** The run, which has begun; whoever began it ends it. */
  readonly run: MirrorRunId
  readonly copyImage: CopyImage
  /**
   * Waits until then. What it is for has been saved by the run; nothing else of the run goes on meanwhile. The waiting
   * ends early by an abort only, with the signal's reason.
   */
  readonly pause: (until: Date, reason: string, options: Abortable) => Promise<void>
  /** When work may go on, if that is later than `now`: the job's window. Undefined: at any time. */
  readonly notBefore?: ((now: Date) => Date | undefined) | undefined
  readonly progress?: MirrorObserver | undefined
  /** For what is no fault of any registry. */
  readonly log?: Logger | undefined
  /** Between 0 and 1; for the pauses between tries. */
  readonly random?: (() => number) | undefined
  /** The longest pause before a tag is tried again after an outage; 30,000 unless given. */
  readonly maxRetryPauseMs?: number | undefined
}

export interface MirrorTagPlace {
  /** Labels of the two repositories. */
  readonly source: string
  readonly target: string
  readonly tag: string
}

/** Told as the run goes; must not throw. */
export interface MirrorObserver {
  /** An image is copied now; answers who is told of its manifests and blobs. */
  copying?(place: MirrorTagPlace): CopyProgress | undefined
  /** Also of what is unchanged, which is counted but not recorded one by one. */
  done?(result: MirrorResult): void
  paused?(until: Date, reason: string): void
  resumed?(): void
  /** Every few seconds, and at the end. */
  totals?(totals: MirrorTotals): void
}

/** How a run has ended. */
export interface MirrorRunEnd {
  readonly totals: MirrorTotals
  readonly outcome: Extract<MirrorOutcome, 'ok' | 'partial' | 'failed' | 'stopped'>
  /** In one sentence; undefined for `ok`. */
  readonly reason: string | undefined
}

/**
 * Does what the job says, once. Resolves for all that happens to images and registries, with an abort too (`stopped`); the
 * results of tags are recorded then, the end of the run is not: that is for who began it.
 * @throws what `records` throw, for a run that cannot be recorded does not go on.
 */
export type RunMirrorJob = (job: MirrorJob, context: MirrorRunContext) => Promise<MirrorRunEnd>

/** What a run would do with one tag (or, without a tag, what is wrong with a repository), and why. */
export interface MirrorPlanStep {
  readonly source: string
  readonly target: string
  readonly tag: string | null
  /** `fail`: a run would fail here. */
  readonly action: 'copy' | 'recheck' | 'unchanged' | 'skip' | 'delete' | 'fail'
  readonly digest: MirrorResult['digest']
  /** In one sentence. */
  readonly reason: string
}

/**
 * What a run would do, step by step, in the order of the job. Changes nothing; what it has asked is in
 * `context.traffic`. An abort ends it with the signal's reason.
 */
export type PlanMirrorJob = (job: MirrorJob, context: MirrorPlanContext) => AsyncIterable<MirrorPlanStep>
