import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import { childFor, noSuchPlatform } from '../../storage/images/chosen-children.ts'
import { ifThere } from '../../storage/images/if-there.ts'
import { readManifest } from '../../storage/images/read-manifest.ts'
import { parseManifest } from '../../storage/manifest.ts'
import { manifestKindOf } from '../../storage/media-types.ts'
import type { ManifestInfo } from '../../storage/metadata/manifest-records.ts'
import type { MirroredTag, MirrorRecords } from '../../storage/metadata/mirror-records.ts'
import type { Reference } from '../../storage/reference.ts'
import type { MirroredRepository, ReadyJob } from './mirrored-repository.ts'
import type { FoundTag } from './newest-by-time.ts'
import { isSigned } from './signed.ts'
import { scopeOf, type TagVerdict, tagVerdict } from './tag-verdict.ts'

export interface ExamineOptions extends Abortable {
  readonly records: Pick<MirrorRecords, 'findMirroredTag'>
  readonly now: Date
}

/**
 * What is to be done with a tag. Asks the source with one HEAD, with nothing for a tag that never changes and is at the
 * target, and with more only for what is to be copied and has to be signed, or is one platform of an index that must not
 * replace another.
 * @throws DomainError as the repositories do; `not_found` for a tag that the source does not have.
 */
export async function examineTag(
  job: ReadyJob,
  repository: MirroredRepository,
  { tag, found: known }: FoundTag,
  options: ExamineOptions,
): Promise<TagVerdict> {
  const { source, target } = repository
  const { rules, tags } = job
  const reference: Reference = { kind: 'tag', tag }
  const isImmutable = tags.isImmutable(tag)
  const atTarget = isImmutable ? await ifThere(target.stat(reference, options)) : undefined
  if (atTarget !== undefined) return await repairing(settled(atTarget.digest, await findNote()))
  const [found, there] = await Promise.all([
    known ?? source.stat(reference, options),
    isImmutable ? undefined : ifThere(target.stat(reference, options)),
  ])
  const last = there === undefined ? undefined : await findNote()
  const isRedefined = isOther(last)
  const note = isRedefined ? undefined : last
  const wanted = await wantedOf(found, note)
  const facts = { found: found.digest, wanted, there: there?.digest, note, isRedefined, now: options.now }
  const verdict = { ...tagVerdict(rules, facts), info: found }
  if (verdict.action !== 'copy' || !rules.onlySigned) return await repairing(verdict)
  if (await isSigned(source, wanted ?? found.digest, repository.listed, options)) return verdict
  return {
    ...verdict,
    action: 'skip',
    reason: 'Nothing that looks like a signature refers to it (onlySigned).',
  }

  /** A tag that is the same says nothing of blobs that were damaged since it was copied. */
  async function repairing(verdict: TagVerdict): Promise<TagVerdict> {
    if (verdict.action !== 'unchanged' && verdict.action !== 'recheck') return verdict
    if ((await target.lacksBlobs?.(options)) !== true) return verdict
    return {
      ...verdict,
      action: 'recheck',
      repairs: true,
      reason: 'It is the same at the target, where blobs of the repository were found damaged.',
    }
  }

  async function findNote(): Promise<MirroredTag | undefined> {
    return await options.records.findMirroredTag(job.name, target.label, tag, options)
  }

  /** Whether the job took something else with the tag then: other platforms, or other referrers. */
  function isOther(last: MirroredTag | undefined): boolean {
    return last?.scope !== undefined && last.scope !== scopeOf(rules)
  }

  /** Of a tag that is not compared: whatever it names at the target is right. */
  function settled(there: Digest, note: MirroredTag | undefined): TagVerdict {
    const isOurs = note !== undefined && (note.stored ?? note.digest) === there
    const found = isOurs ? note.digest : there
    const isRedefined = isOther(note)
    return tagVerdict(rules, { found, wanted: there, there, note, isRedefined, now: options.now })
  }

  async function wantedOf(found: ManifestInfo, note: MirroredTag | undefined): Promise<Digest | undefined> {
    if (rules.platformMode !== 'single' || manifestKindOf(found.mediaType) !== 'index') return found.digest
    if (note?.digest === found.digest) return note.stored ?? note.digest
    // The copy finds it out: it costs the source the same, and only once.
    if (rules.overwrite === 'replace' && !rules.onlySigned) return undefined
    return await onePlatformOf(job, repository, found, options)
  }
}

async function onePlatformOf(
  { platforms }: ReadyJob,
  { source }: MirroredRepository,
  found: ManifestInfo,
  options: Abortable,
): Promise<Digest | undefined> {
  const [platform] = platforms
  if (platform === undefined) return found.digest
  const { bytes, mediaType } = await readManifest(source, found, options)
  const index = parseManifest(bytes, mediaType)
  if (index.kind !== 'index') return found.digest
  const child = childFor(index, platform)
  if (child === undefined) throw noSuchPlatform(source.label, index, platforms)
  return child.digest
}
