import type { Abortable } from '../abortable.ts'
import type { Digest } from '../digest.ts'
import type { Tag } from '../reference.ts'
import type { Page } from './page.ts'

/**
 * CONTRACT. What mirror jobs remember: those that administration has made, their runs, and who leads them. The executable
 * half is `test/contract/mirror.ts`.
 */
export interface MirrorRecords extends MirrorJobRecords, MirrorRunRecords {}

export interface MirrorJobRecords {
  /** Of administration; those of the configuration are not stored. Makes it, or puts it in the place of the old one. */
  putMirrorJob(job: StoredMirrorJob, options?: Abortable): Promise<void>
  /** By name, in byte order. */
  listMirrorJobs(page: Page, options?: Abortable): Promise<StoredMirrorJob[]>
  /** With its runs and what it remembers of tags. @throws DomainError `not_found`. */
  deleteMirrorJob(name: MirrorJobName, options?: Abortable): Promise<void>

  /**
   * Wishes that the job runs soon, by whichever replica leads it. A second wish before that is the same wish, and the first
   * one is remembered. Nobody asks whether there is such a job: the configuration may have it.
   */
  wishMirrorRun(job: MirrorJobName, wish: MirrorWish, options?: Abortable): Promise<void>
  /** Jobs that somebody wishes to run, longest ago first. */
  listMirrorWishes(options?: Abortable): Promise<{ readonly job: MirrorJobName; readonly wish: MirrorWish }[]>

  /**
   * Makes `holder` the only one to run the job until `until`; who has the lease may extend it. False while somebody else
   * has one that has not run out. It outlives the job, when that is deleted while it runs.
   */
  leaseMirrorJob(job: MirrorJobName, lease: MirrorLease, options?: Abortable): Promise<boolean>
  releaseMirrorJob(job: MirrorJobName, holder: string, options?: Abortable): Promise<void>
  /** Whether anybody has a lease of it that has not run out. */
  isMirrorJobLeased(job: MirrorJobName, options?: Abortable): Promise<boolean>

  /** When the referrers of a tag's manifest were last looked at, and of which digest; undefined when never. */
  findMirroredTag(
    job: MirrorJobName,
    target: string,
    tag: Tag,
    options?: Abortable,
  ): Promise<MirroredTag | undefined>
  noteMirroredTag(
    job: MirrorJobName,
    target: string,
    tag: Tag,
    mirrored: MirroredTag,
    options?: Abortable,
  ): Promise<void>
}

export interface MirrorRunRecords {
  /**
   * Begins a run, takes the wish away, and ends as `interrupted` a run of the job that never ended: its process died.
   * Call it with the job's lease.
   */
  beginMirrorRun(run: NewMirrorRun, options?: Abortable): Promise<void>
  /**
   * How far it is; ends it when there is an outcome, at `endedAt` or now. To say the same outcome again is no mistake.
   * @throws DomainError `not_found`; `conflict` when it has ended otherwise, as one does whose lease another has taken over.
   */
  saveMirrorRun(id: MirrorRunId, progress: MirrorProgress, options?: Abortable): Promise<void>
  /** @throws DomainError `not_found`. */
  getMirrorRun(id: MirrorRunId, options?: Abortable): Promise<MirrorRun>
  /** Newest first; of one job, or of all. None when `before` names none. */
  listMirrorRuns(filter: MirrorRunFilter, options?: Abortable): Promise<MirrorRun[]>
  /** In the order given; at most some hundred at once. @throws DomainError `not_found` for the run. */
  addMirrorResults(id: MirrorRunId, results: readonly MirrorResult[], options?: Abortable): Promise<void>
  /**
   * In the order in which they were added; none of a run that is not there.
   * @param page.after serial of the last one of the page before.
   */
  listMirrorResults(
    id: MirrorRunId,
    page: MirrorResultPage,
    options?: Abortable,
  ): Promise<NumberedMirrorResult[]>
  /** Runs that ended before `before`, but for the newest of each job, with their results. Answers how many. */
  deleteMirrorRuns(before: Date, limit: number, options?: Abortable): Promise<number>
}

export type MirrorJobName = string & { readonly __brand: 'MirrorJobName' }
export type MirrorRunId = string & { readonly __brand: 'MirrorRunId' }

export interface StoredMirrorJob {
  readonly name: MirrorJobName
  /** The job as JSON, as `src/mirror-job.ts` reads it. */
  readonly definition: string
  readonly updatedAt: Date
}

export interface MirrorWish {
  /** `schedule` for a scheduled run that was stopped with its process and shall go on. */
  readonly trigger: MirrorTrigger
  readonly at: Date
  /** Who, for people; null: nobody who has a name. */
  readonly by: string | null
}

export type MirrorTrigger = 'schedule' | 'webhook' | 'api' | 'command'

export interface MirrorLease {
  readonly holder: string
  readonly until: Date
}

export interface NewMirrorRun {
  readonly id: MirrorRunId
  readonly job: MirrorJobName
  readonly trigger: MirrorTrigger
  readonly by: string | null
  readonly startedAt: Date
}

/** What a run has done so far. Bytes are those of blobs. */
export interface MirrorTotals {
  readonly copied: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly deleted: number
  readonly requests: number
  readonly bytesReceived: number
  readonly bytesSent: number
  readonly blobsCopied: number
  readonly blobsMounted: number
  /** What the source has last said may still be pulled; undefined where it says nothing. */
  readonly pullsLeft?: number | undefined
}

/**
 * `ok`: nothing failed; `partial`: some tags failed; `failed`: it could not do its work; `paused`: until `resumeAt`, for
 * the source asks for it; `stopped`: somebody wished that; `interrupted`: its process died.
 */
export type MirrorOutcome = 'ok' | 'partial' | 'failed' | 'paused' | 'stopped' | 'interrupted'

export interface MirrorProgress {
  readonly totals: MirrorTotals
  /** Undefined while it runs; a pause is none, for it goes on. */
  readonly outcome?: MirrorOutcome | undefined
  /** Why, in one sentence. */
  readonly reason?: string | undefined
  readonly endedAt?: Date | undefined
  readonly resumeAt?: Date | undefined
}

export interface MirrorRun extends NewMirrorRun, MirrorProgress {}

export interface MirrorRunFilter {
  readonly job?: MirrorJobName | undefined
  readonly limit: number
  /** Only runs that began before it: the last of the page before. */
  readonly before?: MirrorRunId | undefined
}

/** What became of one tag (or, without a tag, of a repository that could not be read). Of a text 2,000 characters are kept. */
export interface MirrorResult {
  readonly source: string
  readonly target: string
  readonly tag: string | null
  readonly outcome: 'copied' | 'unchanged' | 'skipped' | 'failed' | 'deleted'
  readonly digest: Digest | null
  /** Why, in one sentence: always for skipped and failed. */
  readonly reason: string | null
  /** Of blobs that came. */
  readonly bytes: number
  readonly at: Date
}

export interface NumberedMirrorResult extends MirrorResult {
  readonly serial: number
}

export interface MirrorResultPage {
  readonly limit: number
  readonly after?: number | undefined
  /** Undefined: all. */
  readonly outcomes?: readonly MirrorResult['outcome'][] | undefined
}

export interface MirroredTag {
  /** What the source's tag named. */
  readonly digest: Digest
  /** What the target's tag was made to name, where that is something else: the one platform of an index. */
  readonly stored?: Digest | undefined
  readonly referrersAt: Date
  /** What a job that looked at it takes with a tag, as one word; undefined where nobody has noted that. */
  readonly scope?: string | undefined
}
