import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobFlights } from '../../storage/images/blob-flights.ts'
import type { CopyImage, CopyProgress, CopyReport } from '../../storage/images/copy-image.ts'
import type { MirrorRecords } from '../../storage/metadata/mirror-records.ts'
import type { Tag } from '../../storage/reference.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'
import { scopeOf, type TagVerdict } from './tag-verdict.ts'

export interface CopyTagOptions extends Abortable {
  readonly copyImage: CopyImage
  readonly records: Pick<MirrorRecords, 'noteMirroredTag'>
  readonly flights: BlobFlights
  readonly progress: CopyProgress | undefined
  /** When the tag was looked at. */
  readonly now: Date
}

/** What has become of a tag that was to be copied, or looked at again. */
export interface CopiedTag {
  readonly report: CopyReport
  /** Whether there is anything at the target that was not there before. */
  readonly hasChanged: boolean
}

/**
 * Copies what the source's tag was found to name, under the same tag, and notes it. What is in the repository at the
 * target already is not copied again.
 */
export async function copyTag(
  job: ReadyJob,
  repository: MirroredRepository,
  tag: Tag,
  { action, digest, info, there, repairs = false }: TagVerdict,
  options: CopyTagOptions,
): Promise<CopiedTag> {
  const { rules, platforms } = job
  const { source, target, pair, listed } = repository
  const { include, artifactTypes, legacyCosignTags } = rules.referrers
  const report = await options.copyImage(source, { kind: 'digest', digest }, target, {
    tags: [tag],
    found: info,
    platforms: platforms.length === 0 ? undefined : { mode: rules.platformMode, only: platforms },
    referrers: include
      ? {
          include,
          artifactTypes: artifactTypes.length === 0 ? undefined : artifactTypes,
          legacyCosignTags: legacyCosignTags ? (listed ?? true) : false,
        }
      : undefined,
    thorough: action === 'recheck',
    repairs,
    flights: options.flights,
    repository: pair.target,
    progress: options.progress,
    signal: options.signal,
  })
  const stored = report.manifest.digest
  await options.records.noteMirroredTag(
    job.name,
    target.label,
    tag,
    { digest, ...(stored !== digest && { stored }), referrersAt: options.now, scope: scopeOf(rules) },
    { signal: options.signal },
  )
  const blobsCame = repairs ? report.blobsCopied + report.blobsMounted : 0
  const hasChanged = stored !== there || report.manifestsCopied + report.referrersCopied + blobsCame > 0
  return { report, hasChanged }
}

/** Whether a tag that never changes is at the target, and the source has let go of what it names: it stays as it is. */
export function isLetGo(job: ReadyJob, tag: Tag, { action }: TagVerdict, error: unknown): boolean {
  return action === 'recheck' && job.tags.isImmutable(tag) && isDomainError(error, 'not_found')
}
