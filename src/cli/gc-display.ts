import type { TickReport } from '../registry/collect/collector.ts'
import type { ExplainedHolding, Explanation } from '../registry/collect/explain.ts'
import { formatBytes, formatTable } from './format.ts'
import { printable } from './printable.ts'
import type { GcStatus } from './registry/gc.ts'

export function describeStatus({
  isEnabled,
  pausedAt,
  pausedBy,
  tickedAt,
  totals,
  waiting,
}: GcStatus): string {
  const by = pausedBy === null ? '' : ` by ${printable(pausedBy)}`
  const state =
    pausedAt !== null ? `paused${by} since ${pausedAt.toISOString()}` : isEnabled ? 'running' : 'not enabled'
  const since =
    waiting.objectsSince === null ? '' : `; the first may go ${waiting.objectsSince.toISOString()}`
  return formatTable(
    [],
    [
      ['collection', state],
      ['last look', tickedAt?.toISOString() ?? 'never'],
      ['waiting', `${waiting.links} links and ${waiting.manifests} manifests to be looked at`],
      ['', `${waiting.objects} objects to be deleted, ${formatBytes(waiting.bytes)}${since}`],
      ['gone', `${totals.manifests} manifests, ${totals.links} links, ${totals.blobs} blobs`],
      ['', `${totals.repositories} repositories`],
      ['freed', `${formatBytes(totals.bytes)} in ${totals.objects} objects`],
    ],
  )
}

export function describeTick(tick: TickReport): string {
  const { manifests, links, blobs, bytes, repositories, objects, failures } = tick
  const failed = failures.map(({ message }) => `\n  not deleted: ${printable(message)}`)
  return `${manifests} manifests, ${links} links, ${blobs} blobs (${formatBytes(bytes)}) and ${repositories} repositories gone; ${objects} objects deleted${failed.join('')}`
}

export function describeExplanation({ digest, holdings, objectGoesAt }: Explanation): string {
  const lines = holdings.map(holding => `${printable(holding.repository)}: ${describeHolding(holding)}`)
  if (objectGoesAt !== null)
    lines.push(`${digest}: a blob of it is gone; its object is deleted after ${objectGoesAt.toISOString()}`)
  return lines.join('\n')
}

function describeHolding({
  repository,
  kind,
  path,
  keptBy,
  reviewAt,
  since,
  subject,
}: ExplainedHolding): string {
  if (path !== null)
    return `${kind}, kept because ${[`${printable(repository)}:${printable(path.tag)}`, ...path.digests].join(' -> ')}`
  if (keptBy !== null) return `${kind}, kept because the manifest ${keptBy} is there, which no tag names`
  if (reviewAt === null)
    return subject === null
      ? `${kind}, kept though no tag names it: collect.untaggedHours is not set`
      : `${kind}, kept with its subject ${subject}`
  return kind === 'blob'
    ? `blob, named by no manifest; it goes after ${since.toISOString()}`
    : `manifest, without a tag since ${since.toISOString()}; looked at after ${reviewAt.toISOString()}`
}
