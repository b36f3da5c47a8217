import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { CollectRecords, DeletedNamer, Holding, Namer } from '../../storage/metadata/collect-records.ts'
import type { RepositoryName, Tag } from '../../storage/reference.ts'

/** Why a digest is kept, or since when it waits and when it goes. */
export interface Explanation {
  readonly digest: Digest
  /** In byte order of the repositories, manifests first; some of them where there are very many. */
  readonly holdings: readonly ExplainedHolding[]
  /** When an object of a blob of this digest may be deleted, that nobody holds any more. */
  readonly objectGoesAt: Date | null
}

export interface ExplainedHolding extends Holding {
  /** From a tag down to the digest; null when no tag leads to it. */
  readonly path: KeptPath | null
  /** The manifest that keeps it without any tag: the first above it that nothing names. Null when nothing names it itself. */
  readonly keptBy: Digest | null
  /** The deleted manifest that keeps it as long as that can be taken back, when nothing else does. */
  readonly keptByDeleted: DeletedNamer | null
}

export interface KeptPath {
  readonly tag: Tag
  /** What the tag names first, the digest last. */
  readonly digests: readonly Digest[]
}

/** Repositories that are looked at, manifests that are asked for at once, and all together in one repository. */
const maxHoldings = 50
const maxNamers = 100
const maxVisited = 2000

export async function explain(
  records: Pick<CollectRecords, 'holdersOf' | 'namersOf' | 'findGarbageOf'>,
  digest: Digest,
  options?: Abortable,
): Promise<Explanation> {
  const holdings: ExplainedHolding[] = []
  for (const holding of await records.holdersOf(digest, maxHoldings, options))
    holdings.push({ ...holding, ...(await findPath(records, holding.repository, digest, options)) })
  const objectGoesAt = (await records.findGarbageOf(digest, options)) ?? null
  return { digest, holdings, objectGoesAt }
}

/** Upwards, the nearest first, so that the path is as short as one can be; no manifest is looked at twice. */
async function findPath(
  records: Pick<CollectRecords, 'namersOf'>,
  repository: RepositoryName,
  digest: Digest,
  options?: Abortable,
): Promise<Pick<ExplainedHolding, 'path' | 'keptBy' | 'keptByDeleted'>> {
  const below = new Map<Digest, Digest | null>([[digest, null]])
  let keptBy: Digest | null = null
  let keptByDeleted: DeletedNamer | null = null
  const waiting = [digest]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { tags, manifests, deleted } = await records.namersOf(repository, next, maxNamers, options)
    keptByDeleted ??= deleted[0] ?? null
    const [tag] = tags
    if (tag !== undefined)
      return { path: { tag, digests: downFrom(next, below) }, keptBy: null, keptByDeleted: null }
    const above = manifests.filter(({ role }) => keeps(role, next === digest))
    if (above.length === 0 && deleted.length === 0 && next !== digest) keptBy ??= next
    for (const { digest: manifest } of above) {
      if (below.has(manifest) || below.size >= maxVisited) continue
      below.set(manifest, next)
      waiting.push(manifest)
    }
  }
  return { path: null, keptBy, keptByDeleted: keptBy === null ? keptByDeleted : null }
}

/** A referrer names its subject and does not keep it. */
function keeps(role: Namer['role'], isLowest: boolean): boolean {
  return role === 'child' || (isLowest && role !== 'subject')
}

function downFrom(top: Digest, below: ReadonlyMap<Digest, Digest | null>): Digest[] {
  const path: Digest[] = []
  for (let at: Digest | null | undefined = top; at != null; at = below.get(at)) path.push(at)
  return path
}
