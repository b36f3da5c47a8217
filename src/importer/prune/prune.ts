import pLimit from 'p-limit'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { ChainId } from '../../storage/chain-id.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ChainStore } from '../chain/chain-store.ts'
import type { ImageCatalog } from '../images/image-catalog.ts'
import type { LastUse } from '../images/last-use.ts'
import type { PrunedImage, PruneReport, PruneRequest, RemovedImage } from '../import-service.ts'
import { linksOf, usedBytesOf } from './chain-links.ts'
import {
  type PlannedRemoval,
  type PrunePlan,
  type PruneState,
  planPrune,
  type UsedImage,
} from './plan-prune.ts'

export interface PruneParts {
  readonly catalog: Pick<ImageCatalog, 'list'>
  readonly chains: Pick<ChainStore, 'lineages' | 'clones' | 'reclaim' | 'remove' | 'publisher'>
  readonly lastUse: Pick<LastUse, 'of' | 'forgetOthers'>
  /** As `ImportService.removeImage`. */
  readonly remove: (manifestDigest: Digest, options: Abortable) => Promise<RemovedImage>
  /** Runs work while no image is recorded and none removed. */
  readonly exclusively: <Result>(work: () => Promise<Result>) => Promise<Result>
  readonly now?: (() => Date) | undefined
  /** As `PruneRules.orphanSeconds`; a day unless given. */
  readonly orphanSeconds?: number | undefined
}

const daySeconds = 24 * 60 * 60

/** Markers that are looked at at once: a process may open only so many files. */
const openFiles = 32

/**
 * As `ImportService.prune`. One image that cannot be removed keeps none of the others from it: it is reported, and where
 * there is a target, further ones go in its place.
 * @throws DomainError of the store, when it cannot be read; whatever the signal aborts with, between two images.
 */
export async function prune(
  parts: PruneParts,
  request: PruneRequest,
  options: Abortable = {},
): Promise<PruneReport> {
  // What failed imports have left takes space too, and pins what they were built upon; what cannot go now can wait.
  if (request.dryRun !== true) await succeeds(parts.chains.reclaim(options))
  const refused = new Map<Digest, string>()
  const removed: PrunedImage[] = []
  let orphanedChains = 0
  let usedBytesBefore: number | undefined
  for (;;) {
    const plan = await plannedNow(parts, request, refused, options)
    usedBytesBefore ??= plan.usedBytesBefore
    if (request.dryRun === true) return foreseen(plan)
    const refusals = refused.size
    orphanedChains += await removeOrphans(parts, plan.orphans, options)
    for (const image of plan.images) removed.push(...(await removeUnlessUsed(parts, image, refused, options)))
    if (refused.size > refusals) continue
    await parts.lastUse.forgetOthers(await parts.catalog.list())
    const usedBytesAfter = usedBytesOf(linksOf(await parts.chains.lineages(options)))
    return { removed, kept: plan.kept, orphanedChains, usedBytesBefore, usedBytesAfter }
  }
}

async function plannedNow(
  parts: PruneParts,
  request: PruneRequest,
  refused: ReadonlyMap<Digest, string>,
  options: Abortable,
): Promise<PrunePlan> {
  const { now = () => new Date(), orphanSeconds = daySeconds } = parts
  return planPrune(await readState(parts, options), { ...request, refused, orphanSeconds, now: now() })
}

async function readState(parts: PruneParts, options: Abortable): Promise<PruneState> {
  const { catalog, chains, lastUse } = parts
  // Before the chains: an image that is recorded has them, so one that is found without was removed half.
  const images = await pLimit(openFiles).map(await catalog.list(), async record => ({
    record,
    lastUsedAt: await lastUse.of(record),
  }))
  const links = linksOf(await chains.lineages(options))
  const clones = await chains.clones(options)
  return { images, links, clones, published: (await chains.publisher?.list(options)) ?? [] }
}

function foreseen({ images, orphans, kept, usedBytesBefore, usedBytesAfter }: PrunePlan): PruneReport {
  const removed = images.map(image => prunedImage(image, image.chains.length))
  return { removed, kept, orphanedChains: orphans.length, usedBytesBefore, usedBytesAfter }
}

/**
 * Those that no image has taken up meanwhile. What cannot be removed, for an image is being built upon it, can wait.
 * Answers how many went.
 */
async function removeOrphans(
  { catalog, chains, exclusively }: PruneParts,
  orphans: readonly ChainId[],
  options: Abortable,
): Promise<number> {
  if (orphans.length === 0) return 0
  return await exclusively(async () => {
    const recorded = new Set(
      (await catalog.list()).flatMap(({ layers }) => layers.map(({ chainId }) => chainId)),
    )
    let count = 0
    for (const chain of orphans.filter(orphan => !recorded.has(orphan))) {
      options.signal?.throwIfAborted()
      if (await succeeds(chains.remove(chain, options))) count += 1
    }
    return count
  })
}

async function removeUnlessUsed(
  { lastUse, remove }: PruneParts,
  { record, lastUsedAt }: PlannedRemoval,
  refused: Map<Digest, string>,
  options: Abortable,
): Promise<PrunedImage[]> {
  options.signal?.throwIfAborted()
  const { manifestDigest } = record
  if ((await lastUse.of(record)) > lastUsedAt) {
    refused.set(manifestDigest, 'it has been used meanwhile')
    return []
  }
  try {
    const { removedChains } = await remove(manifestDigest, options)
    return [prunedImage({ record, lastUsedAt }, removedChains)]
  } catch (error) {
    if (!isDomainError(error)) throw error
    // Somebody else has removed it.
    if (error.code !== 'not_found') refused.set(manifestDigest, error.message)
    return []
  }
}

function prunedImage({ record, lastUsedAt }: UsedImage, removedChains: number): PrunedImage {
  return { names: record.names, manifestDigest: record.manifestDigest, lastUsedAt, removedChains }
}

async function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    if (isDomainError(error)) return false
    throw error
  }
}
