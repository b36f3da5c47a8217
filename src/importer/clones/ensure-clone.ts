import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { parseDigest } from '../../storage/digest.ts'
import { fromWire } from '../agent/wire.ts'
import type { CloneName, CloneOptions } from '../chain/chain-store.ts'
import type { ClonedImage, CloneOutcome, ImportRequest, ImportService } from '../import-service.ts'
import type { ImportJob } from '../jobs/import-job.ts'
import type { ImportJobs } from '../jobs/import-jobs.ts'
import { inFull } from '../jobs/job-key.ts'
import type { FinalRecord, JobSummary } from '../jobs/job-records.ts'

/**
 * When the image is imported first. `never`: only what is there is cloned. `missing`: when nothing is there by this name
 * or whole digest, whatever the registry has by now. `always`: the registry is asked what the name means now, and what is missing of that
 * is imported.
 */
export type PullPolicy = 'never' | 'missing' | 'always'

export const defaultPullPolicy: PullPolicy = 'missing'

export interface EnsureCloneParts {
  readonly service: Pick<ImportService, 'clone' | 'cloneMany'>
  readonly jobs: Pick<ImportJobs, 'ensure' | 'takeEnd'>
}

/** Platform and credentials count for what is imported; what is there is cloned as it is. */
interface EnsureRequest extends ImportRequest {
  /** {@link defaultPullPolicy} unless given. */
  readonly pull?: PullPolicy | undefined
  /** Of the import. */
  readonly priority?: number | undefined
  readonly options?: Omit<CloneOptions, 'signal'> | undefined
}

export interface EnsureCloneRequest extends EnsureRequest {
  readonly name: CloneName
}

export interface EnsureClonesRequest extends EnsureRequest {
  readonly names: readonly CloneName[]
}

export interface EnsureCloneOptions extends Abortable {
  /** Milliseconds that the import may take; as long as it takes unless given. */
  readonly waitMs?: number | undefined
}

/** The wait was over before the import was; it goes on, and whoever asks again is told how it ended. */
export interface PendingImport {
  readonly pending: JobSummary
}

/** The longest time that a timer of Node's takes. */
const maxTimerMs = 2 ** 31 - 1

/** Times that it imports an image that somebody else removes before it is cloned. */
const maxImports = 3

/**
 * A clone of an image, which is imported first where the policy says so. Idempotent: to ask again, in the same words, is how
 * one waits for what was pending, and gives the clone that is there. When the name of the image means other layers by
 * now, that is a `conflict`.
 * @throws DomainError of the import, or of `ImportService.clone`; rejects with the signal's reason, and then the import goes on.
 */
export async function ensureClone(
  parts: EnsureCloneParts,
  request: EnsureCloneRequest,
  options: EnsureCloneOptions = {},
): Promise<ClonedImage | PendingImport> {
  const { signal } = options
  const clone = (image: string): Promise<ClonedImage> =>
    parts.service.clone(image, request.name, { ...request.options, signal })
  return await withImage(parts.jobs, request, options, clone)
}

/** As {@link ensureClone}, for many clones of one image: an outcome for each name. */
export async function ensureClones(
  parts: EnsureCloneParts,
  request: EnsureClonesRequest,
  options: EnsureCloneOptions = {},
): Promise<CloneOutcome[] | PendingImport> {
  const { signal } = options
  const clone = (image: string): Promise<CloneOutcome[]> =>
    parts.service.cloneMany(image, request.names, { ...request.options, signal })
  return await withImage(parts.jobs, request, options, clone)
}

async function withImage<Made>(
  jobs: EnsureCloneParts['jobs'],
  { image, platform, credentials, priority, pull = defaultPullPolicy }: EnsureRequest,
  { waitMs, signal }: EnsureCloneOptions,
  clone: (image: string) => Promise<Made>,
): Promise<Made | PendingImport> {
  signal?.throwIfAborted()
  if (pull === 'never') return await clone(image)
  const request = { image, platform, credentials }
  if (pull === 'missing') {
    const made = await unlessMissing(clone(isDigest(image) ? image : inFull(request).image))
    if (made !== undefined) return made
  }
  const ended = jobs.takeEnd(request)
  if (ended?.type === 'error') throw fromWire(ended)
  const made = ended && (await unlessMissing(clone(ended.manifestDigest)))
  if (made !== undefined) return made
  const deadline = waitMs === undefined ? undefined : performance.now() + waitMs
  for (let imports = 1; ; imports += 1) {
    const job = jobs.ensure(request, { priority })
    const final = await endBefore(deadline, job, signal)
    if (final === undefined) return { pending: job.waitNoLonger() }
    if (final.type === 'error') throw fromWire(final)
    // By its digest: the name may mean another image a moment later.
    const made = clone(final.manifestDigest)
    if (imports === maxImports) return await made
    const madeInTime = await unlessMissing(made)
    if (madeInTime !== undefined) return madeInTime
  }
}

/**
 * In full. What only looks like the beginning of a digest is a name where a registry would be asked for it: the beginning of his
 * image's digest is what anybody can choose.
 */
function isDigest(image: string): boolean {
  try {
    parseDigest(image)
    return true
  } catch (error) {
    if (isDomainError(error)) return false
    throw error
  }
}

/** undefined when the image is not there. */
async function unlessMissing<Made>(made: Promise<Made>): Promise<Made | undefined> {
  try {
    return await made
  } catch (error) {
    const isMissing =
      isDomainError(error, 'not_found') &&
      (error.details.resource === 'image' || error.details.resource === 'chain')
    if (isMissing) return undefined
    throw error
  }
}

/** undefined when the time is over first. */
async function endBefore(
  deadline: number | undefined,
  job: ImportJob,
  signal: AbortSignal | undefined,
): Promise<FinalRecord | undefined> {
  if (deadline === undefined) return await job.ended({ signal })
  const over = new AbortController()
  const left = Math.min(Math.max(0, deadline - performance.now()), maxTimerMs)
  const timer = setTimeout(() => over.abort(), left)
  const signals = [over.signal, ...(signal === undefined ? [] : [signal])]
  try {
    return await job.ended({ signal: AbortSignal.any(signals) })
  } catch (error) {
    signal?.throwIfAborted()
    if (over.signal.aborted) return undefined
    throw error
  } finally {
    clearTimeout(timer)
  }
}
