import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobFlights } from '../../storage/images/blob-flights.ts'
import type { CopyReport } from '../../storage/images/copy-image.ts'
import type { MirrorResult } from '../../storage/metadata/mirror-records.ts'
import { copyTag, isLetGo } from './copy-tag.ts'
import { examineTag } from './examine-tag.ts'
import { lazyProgress } from './lazy-progress.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'
import type { FoundTag } from './newest-by-time.ts'
import type { MirrorRunContext } from './run-job.ts'
import type { TagVerdict } from './tag-verdict.ts'

export interface MirrorTagOptions extends Abortable {
  readonly context: Pick<MirrorRunContext, 'copyImage' | 'records' | 'progress'>
  readonly flights: BlobFlights
  readonly now: () => Date
}

/** What has become of a tag. */
export interface MirroredOutcome extends Pick<MirrorResult, 'outcome' | 'digest' | 'reason' | 'bytes'> {
  readonly report?: CopyReport | undefined
}

/**
 * Does with a tag what the job wants.
 * @throws DomainError as the repositories do, for what makes it fail.
 */
export async function mirrorTag(
  job: ReadyJob,
  repository: MirroredRepository,
  found: FoundTag,
  options: MirrorTagOptions,
): Promise<MirroredOutcome> {
  const first = await lookAt(job, repository, found, options)
  if ('outcome' in first) return first
  try {
    return await carryOut(job, repository, found, first, options)
  } catch (error) {
    if (isLetGo(job, found.tag, first, error)) return settled('unchanged', first)
    if (!isGone(error)) throw error
  }
  // The source's tag names something else by now, perhaps, and what it named before is gone.
  const again = await lookAt(job, repository, { tag: found.tag }, options)
  return 'outcome' in again ? again : await carryOut(job, repository, found, again, options)
}

async function lookAt(
  job: ReadyJob,
  repository: MirroredRepository,
  found: FoundTag,
  { context, now, signal }: MirrorTagOptions,
): Promise<TagVerdict | MirroredOutcome> {
  try {
    return await examineTag(job, repository, found, { records: context.records, now: now(), signal })
  } catch (error) {
    if (!isGone(error)) throw error
    const isNamed = job.rules.tags.names.includes(found.tag)
    const outcome = isNamed && job.rules.prune.mode === 'off' ? 'failed' : 'skipped'
    return { outcome, digest: null, reason: 'The source does not have it (any more).', bytes: 0 }
  }
}

async function carryOut(
  job: ReadyJob,
  repository: MirroredRepository,
  { tag }: FoundTag,
  verdict: TagVerdict,
  { context, flights, now, signal }: MirrorTagOptions,
): Promise<MirroredOutcome> {
  const { action } = verdict
  if (action === 'unchanged') return settled('unchanged', verdict)
  if (action === 'skip') return settled('skipped', verdict)
  if (action === 'fail') return settled('failed', verdict)
  const place = { source: repository.source.label, target: repository.target.label, tag }
  const copying = () => context.progress?.copying?.(place)
  const { report, hasChanged } = await copyTag(job, repository, tag, verdict, {
    copyImage: context.copyImage,
    records: context.records,
    flights,
    progress: action === 'copy' ? copying() : lazyProgress(copying),
    now: now(),
    signal,
  })
  const { bytes, manifestsAbsent, manifest } = report
  const about = { digest: manifest.digest, bytes, report }
  if (!hasChanged) return { outcome: 'unchanged', reason: null, ...about }
  const why =
    action === 'recheck' && verdict.repairs !== true ? 'More belongs to it than before.' : verdict.reason
  const lack =
    manifestsAbsent > 0 ? ` The source lacks ${manifestsAbsent} of the manifests that it names.` : ''
  return { outcome: 'copied', reason: why + lack, ...about }
}

function settled(
  outcome: 'unchanged' | 'skipped' | 'failed',
  { digest, reason }: TagVerdict,
): MirroredOutcome {
  return { outcome, digest, reason: outcome === 'unchanged' ? null : reason, bytes: 0 }
}

/** Not there, where it is not a platform that is meant: an index that has none of it has none the next time either. */
function isGone(error: unknown): boolean {
  return isDomainError(error, 'not_found') && error.details.resource !== 'platform'
}
