import type { Abortable } from '../../storage/abortable.ts'
import type { ChainLineage, ChainStore, Clone, LineageSnapshot } from '../chain/chain-store.ts'
import type { ImageCatalog, ImageRecord } from '../images/image-catalog.ts'
import { topChainOf } from '../images/image-record.ts'
import type { LineageHistory, SnapshotHistory } from '../import-service.ts'
import type { PublishedDataset } from '../smartos/image-publisher.ts'

export interface HistoryParts {
  readonly catalog: Pick<ImageCatalog, 'list'>
  readonly chains: Pick<ChainStore, 'lineages' | 'clones' | 'publisher'>
}

type PublishedChain = Pick<PublishedDataset, 'dataset' | 'chain'>

/** As `ImportService.history`: the lineage that began first comes first. */
export async function historyOf(
  { catalog, chains }: HistoryParts,
  options: Abortable = {},
): Promise<LineageHistory[]> {
  const lineages = await chains.lineages(options)
  return describeLineages(lineages, {
    images: await catalog.list(),
    clones: await chains.clones(options),
    published: (await chains.publisher?.list(options)) ?? [],
  })
}

/** What was made of the chains. */
export interface ChainUsers {
  readonly images: readonly ImageRecord[]
  readonly clones: readonly Pick<Clone, 'name' | 'origin'>[]
  readonly published: readonly PublishedChain[]
}

/** A clone is told with the one snapshot that it was made from; an image with every copy of its chain. */
export function describeLineages(
  lineages: readonly ChainLineage[],
  { images, clones, published }: ChainUsers,
): LineageHistory[] {
  const imagesAt = Map.groupBy(images, topChainOf)
  const clonesAt = Map.groupBy(clones, ({ origin }) => origin)
  const publishedAt = Map.groupBy(published, ({ chain }) => chain)
  const describeSnapshot = ({
    chain,
    facts,
    location,
    createdAt,
    usedBytes,
  }: LineageSnapshot): SnapshotHistory => ({
    chainId: chain,
    location,
    diffId: facts.diffId,
    entries: facts.entries,
    bytes: facts.bytes,
    usedBytes,
    createdAt,
    images: (imagesAt.get(chain) ?? []).flatMap(({ names, manifestDigest }) =>
      names.length > 0 ? names : [manifestDigest],
    ),
    clones: (clonesAt.get(location) ?? []).map(({ name }) => name),
    published: (publishedAt.get(chain) ?? []).map(({ dataset }) => dataset),
  })
  const depthOf = depthsOf(lineages)
  return lineages
    .toSorted((left, right) => begunAt(left) - begunAt(right) || depthOf(left) - depthOf(right))
    .map(({ dataset, origin, unfinished, snapshots }) => ({
      dataset,
      origin,
      unfinished,
      snapshots: snapshots.map(describeSnapshot),
    }))
}

/** One without a snapshot is only just being begun. */
function begunAt({ snapshots }: ChainLineage): number {
  return snapshots[0]?.createdAt.getTime() ?? Number.MAX_SAFE_INTEGER
}

/**
 * How many lineages each one rests on. Times are whole seconds on ZFS, so that a lineage and one that branches off it may
 * have begun at the same time.
 */
function depthsOf(lineages: readonly ChainLineage[]): (lineage: ChainLineage) => number {
  const holderOf = new Map(
    lineages.flatMap(lineage => lineage.snapshots.map(({ location }) => [location, lineage] as const)),
  )
  return ({ origin }) => {
    let depth = 0
    for (let below = origin; below !== undefined; below = holderOf.get(below)?.origin) depth++
    return depth
  }
}
