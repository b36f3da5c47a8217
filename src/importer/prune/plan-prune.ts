import type { ChainId } from '../../storage/chain-id.ts'
import type { Digest } from '../../storage/digest.ts'
import type { Clone } from '../chain/chain-store.ts'
import type { ImageRecord } from '../images/image-catalog.ts'
import { topChainOf } from '../images/image-record.ts'
import type { PruneReport, PruneRequest } from '../import-service.ts'
import type { PublishedDataset } from '../smartos/image-publisher.ts'
import { type ChainLink, RemainingChains } from './chain-links.ts'
import { needsOf } from './needed-by.ts'
import { orphansAmong } from './orphans.ts'

/** All that a plan is made from. */
export interface PruneState {
  readonly images: readonly UsedImage[]
  readonly links: readonly ChainLink[]
  readonly clones: readonly Pick<Clone, 'name' | 'chain' | 'manifestDigest'>[]
  readonly published: readonly PublishedChain[]
}

export interface UsedImage {
  readonly record: ImageRecord
  readonly lastUsedAt: Date
}

export type PublishedChain = Pick<PublishedDataset, 'dataset' | 'chain'>

export interface PruneRules extends PruneRequest {
  readonly now: Date
  /** Chains that no image has stay for so long at least: whoever tries the import again will want them. */
  readonly orphanSeconds: number
  /** Images that could not be removed, and why. */
  readonly refused: ReadonlyMap<Digest, string>
}

export interface PrunePlan {
  /** In the order of their removal; chains first, from the longest down. */
  readonly orphans: readonly ChainId[]
  /** Least recently used first. */
  readonly images: readonly PlannedRemoval[]
  readonly kept: PruneReport['kept']
  readonly usedBytesBefore: number
  readonly usedBytesAfter: number
}

export interface PlannedRemoval extends UsedImage {
  /** Chains that go with it, the longest first: those that nothing else needs then. */
  readonly chains: readonly ChainId[]
}

/**
 * Which images to remove, and which chains that no image has.
 *
 * The order is that of last use. An older image is kept before a younger one only where a clone or a publication needs it,
 * where its removal was refused, or, when there is a target, where all that it has is needed anyway. First of all go those
 * whose removal was cut short: nobody can use them, and where all their chains are gone they free nothing any more.
 */
export function planPrune(state: PruneState, rules: PruneRules): PrunePlan {
  const remaining = new RemainingChains(state.links)
  const halfRemoved = halfRemovedAmong(state.images, remaining, rules)
  const usedBytesBefore = remaining.usedBytes
  const goesOn = (): boolean =>
    rules.targetBytes === undefined
      ? rules.unusedSeconds !== undefined
      : remaining.usedBytes > rules.targetBytes
  const orphans = goesOn() ? orphansAmong(state, oldestOrphan(rules)) : []
  for (const chain of orphans) remaining.remove(chain)

  const pinned = new Set([
    ...state.clones.map(({ chain }) => chain),
    ...state.published.map(({ chain }) => chain),
  ])
  const uses = usesOf(state.images)
  const neededBy = needsOf(state)
  const planned: PlannedRemoval[] = []
  const kept: { record: ImageRecord; reason: string }[] = []
  for (const image of halfRemovedFirst(leastRecentlyUsedFirst(state.images), halfRemoved)) {
    const { record } = image
    if (!halfRemoved.has(record) && (!goesOn() || !isUnused(image, rules))) break
    const reason = rules.refused.get(record.manifestDigest) ?? neededBy(record)
    if (reason === undefined) planned.push({ ...image, chains: removeFrom(remaining, record, uses, pinned) })
    else kept.push({ record, reason })
  }

  const gone = new Set(planned.flatMap(({ chains }) => chains))
  const isWorthIt = ({ record }: PlannedRemoval): boolean =>
    rules.targetBytes === undefined ||
    halfRemoved.has(record) ||
    record.layers.some(({ chainId }) => gone.has(chainId))
  const worthless = planned.filter(image => !isWorthIt(image))
  kept.push(
    ...worthless.map(({ record }) => ({
      record,
      reason: 'removing it frees nothing, for its layers are needed by others',
    })),
  )
  return {
    orphans,
    images: planned.filter(isWorthIt),
    kept: kept.map(({ record, reason }) => ({ image: record.names[0] ?? record.manifestDigest, reason })),
    usedBytesBefore,
    usedBytesAfter: remaining.usedBytes,
  }
}

/** As `removeChains` does it: from the top down, until something else needs what is left. */
function removeFrom(
  remaining: RemainingChains,
  record: ImageRecord,
  uses: Map<ChainId, number>,
  pinned: ReadonlySet<ChainId>,
): ChainId[] {
  for (const chain of chainsOf(record)) uses.set(chain, (uses.get(chain) ?? 0) - 1)
  const removed: ChainId[] = []
  for (const { chainId } of record.layers.toReversed()) {
    if ((uses.get(chainId) ?? 0) > 0) break
    if (!remaining.has(chainId)) continue
    if (pinned.has(chainId) || remaining.isBuiltUpon(chainId)) break
    remaining.remove(chainId)
    removed.push(chainId)
  }
  return removed
}

/** Records of images without their last layer; none when the request has no bound. */
function halfRemovedAmong(
  images: readonly UsedImage[],
  remaining: RemainingChains,
  { targetBytes, unusedSeconds }: PruneRules,
): ReadonlySet<ImageRecord> {
  if (targetBytes === undefined && unusedSeconds === undefined) return new Set()
  const records = images.map(({ record }) => record)
  return new Set(records.filter(record => !remaining.has(topChainOf(record))))
}

function halfRemovedFirst(
  images: readonly UsedImage[],
  halfRemoved: ReadonlySet<ImageRecord>,
): readonly UsedImage[] {
  return [
    ...images.filter(({ record }) => halfRemoved.has(record)),
    ...images.filter(({ record }) => !halfRemoved.has(record)),
  ]
}

function leastRecentlyUsedFirst(images: readonly UsedImage[]): UsedImage[] {
  return images.toSorted(
    (left, right) =>
      left.lastUsedAt.getTime() - right.lastUsedAt.getTime() ||
      (left.record.manifestDigest < right.record.manifestDigest ? -1 : 1),
  )
}

function isUnused({ lastUsedAt }: UsedImage, { now, unusedSeconds = 0 }: PruneRules): boolean {
  return now.getTime() - lastUsedAt.getTime() >= unusedSeconds * 1000
}

function oldestOrphan({ now, unusedSeconds = 0, orphanSeconds }: PruneRules): Date {
  return new Date(now.getTime() - Math.max(unusedSeconds, orphanSeconds) * 1000)
}

function usesOf(images: readonly UsedImage[]): Map<ChainId, number> {
  const uses = new Map<ChainId, number>()
  for (const { record } of images)
    for (const chain of chainsOf(record)) uses.set(chain, (uses.get(chain) ?? 0) + 1)
  return uses
}

function chainsOf(record: ImageRecord): Set<ChainId> {
  return new Set(record.layers.map(({ chainId }) => chainId))
}
