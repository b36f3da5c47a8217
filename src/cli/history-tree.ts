import { counted } from '../counted.ts'
import type { LineageHistory, SnapshotHistory } from '../importer/import-service.ts'
import { formatBytes, shortDigest } from './format.ts'
import { printable } from './printable.ts'
import { drawTree, type TreeNode, type TreeStyle } from './tree.ts'

/**
 * The forest of lineages, each with its snapshots, the oldest first. Below a snapshot stand the images that end with it,
 * what was cloned from it, and the lineages that branch off it. Every lineage is drawn once, also one whose origin is gone.
 */
export function drawHistory(lineages: readonly LineageHistory[], style: TreeStyle): string {
  const branches = Map.groupBy(lineages, ({ origin }) => origin)
  const there = new Set(lineages.flatMap(({ snapshots }) => snapshots.map(({ location }) => location)))
  const taken = new Set<LineageHistory>()
  const text = (label: string): string => (style.unicode ? printable(label) : ascii(printable(label)))
  const leaf = (label: string): TreeNode => ({ label: text(label), children: () => [] })

  const lineageNodes = (wanted: readonly LineageHistory[]): TreeNode[] =>
    wanted.flatMap(lineage => {
      // ZFS has no circles, but what an agent answers is drawn as it is.
      if (taken.has(lineage)) return []
      taken.add(lineage)
      return [{ label: text(labelOf(lineage, there)), children: () => lineage.snapshots.map(snapshotNode) }]
    })
  const snapshotNode = (snapshot: SnapshotHistory): TreeNode => ({
    label: text(describeSnapshot(snapshot)),
    children: () => [
      ...snapshot.images.map(name => leaf(`image ${name}`)),
      ...snapshot.clones.map(name => leaf(`clone ${name}`)),
      ...snapshot.published.map(dataset => leaf(`published as ${dataset}`)),
      ...lineageNodes(branches.get(snapshot.location) ?? []),
    ],
  })

  const roots = lineages.filter(({ origin }) => origin === undefined || !there.has(origin))
  const drawn = drawTree(lineageNodes(roots), style)
  const others = lineages.flatMap(lineage => drawTree(lineageNodes([lineage]), style))
  return drawn.concat(others).join('\n')
}

function labelOf({ dataset, origin, unfinished }: LineageHistory, there: ReadonlySet<string>): string {
  const lost = origin !== undefined && !there.has(origin) ? ` (branches off ${origin})` : ''
  return `${dataset}${lost}${unfinished ? ' (unfinished)' : ''}`
}

function describeSnapshot({ chainId, usedBytes, entries, createdAt }: SnapshotHistory): string {
  const when = createdAt.toISOString().slice(0, 16).replace('T', ' ')
  return `@${shortDigest(chainId)}  ${formatBytes(usedBytes)}, ${counted(entries, 'entry', 'entries')}, ${when}`
}

function ascii(label: string): string {
  return label.replace(/[^ -~]/gu, '?')
}
