import { stat } from 'node:fs/promises'
import pLimit from 'p-limit'
import type { ChainId } from '../../../storage/chain-id.ts'
import type { ChainLineage, ChainSnapshot, LineageSnapshot } from '../chain-store.ts'
import { type DirectoryLayout, factsFileOf } from './directory-layout.ts'
import { listSnapshots } from './snapshots.ts'

/** Files that are looked at at once: a process may open only so many. */
const openFiles = 32

/** As `ChainStore.lineages`: here every link is a directory of its own, so they are put together by their parents. */
export async function listLineages(layout: DirectoryLayout): Promise<ChainLineage[]> {
  const snapshots = await Array.fromAsync(listSnapshots(layout))
  const dated = await pLimit(openFiles).map(snapshots, withDate)
  return lineagesOf(dated.filter(snapshot => snapshot !== undefined)).toSorted((left, right) =>
    left.dataset < right.dataset ? -1 : 1,
  )
}

/**
 * As ZFS would have them: what was made first on top of a snapshot goes on in its lineage, what came later branches off.
 * A snapshot whose parent is gone begins a lineage.
 */
export function lineagesOf(snapshots: readonly LineageSnapshot[]): ChainLineage[] {
  const locations = new Map<ChainId | null, string>(snapshots.map(({ chain, location }) => [chain, location]))
  const oldestFirst = snapshots.toSorted(
    (left, right) =>
      left.createdAt.getTime() - right.createdAt.getTime() || (left.chain < right.chain ? -1 : 1),
  )
  const childrenOf = Map.groupBy(oldestFirst, ({ facts }) =>
    locations.has(facts.parent) ? facts.parent : null,
  )
  const lineages: ChainLineage[] = []
  const begun = [...(childrenOf.get(null) ?? [])]
  for (let first = begun.pop(); first !== undefined; first = begun.pop()) {
    const ours: LineageSnapshot[] = []
    for (let next: LineageSnapshot | undefined = first; next !== undefined; ) {
      ours.push(next)
      const [continued, ...branches]: LineageSnapshot[] = childrenOf.get(next.chain) ?? []
      begun.push(...branches)
      next = continued
    }
    const origin = locations.get(first.facts.parent)
    lineages.push({ dataset: first.location, origin, unfinished: false, snapshots: ours })
  }
  return lineages
}

/** Its facts are written once, when the link is made. */
async function withDate(snapshot: ChainSnapshot): Promise<LineageSnapshot | undefined> {
  const info = await stat(factsFileOf(snapshot.location)).catch(() => undefined)
  return info && { ...snapshot, createdAt: info.mtime, usedBytes: snapshot.facts.bytes }
}
