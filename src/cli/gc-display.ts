import { counted } from '../counted.ts'
import type {
  GcExplanationView,
  GcHoldingView,
  GcStatusView,
  GcTickView,
} from '../registry/admin/gc-views.ts'
import { formatBytes, formatTable } from './format.ts'
import { printable } from './printable.ts'

export function describeStatus({
  isEnabled,
  pausedAt,
  pausedBy,
  tickedAt,
  totals,
  waiting,
}: GcStatusView): string {
  const by = pausedBy === null ? '' : ` by ${printable(pausedBy)}`
  const state = pausedAt !== null ? `paused${by} since ${pausedAt}` : isEnabled ? 'running' : 'not enabled'
  const since = waiting.objectsSince === null ? '' : `; the first may go ${waiting.objectsSince}`
  return formatTable(
    [],
    [
      ['collection', state],
      ['last look', tickedAt ?? 'never'],
      [
        'waiting',
        `${counted(waiting.links, 'link')} and ${counted(waiting.manifests, 'manifest')} to be looked at`,
      ],
      [
        '',
        `${counted(waiting.deletedManifests, 'deleted manifest')} that can be taken back, ${formatBytes(waiting.deletedBytes)}`,
      ],
      ['', `${counted(waiting.objects, 'object')} to be deleted, ${formatBytes(waiting.bytes)}${since}`],
      [
        'gone',
        `${counted(totals.manifests, 'manifest')}, ${counted(totals.links, 'link')}, ${counted(totals.blobs, 'blob')}, ${counted(totals.repositories, 'repository', 'repositories')}`,
      ],
      ['freed', `${formatBytes(totals.bytes)} in ${counted(totals.objects, 'object')}`],
    ],
  )
}

export function describeTick(tick: GcTickView): string {
  const { manifests, links, blobs, bytes, repositories, objects, failed, failures } = tick
  const lines = failures.map(message => `\n  not deleted: ${printable(message)}`)
  if (failed > failures.length) lines.push(`\n  and ${failed - failures.length} more that were not deleted`)
  return `${counted(manifests, 'manifest')}, ${counted(links, 'link')}, ${counted(blobs, 'blob')} (${formatBytes(bytes)}) and ${counted(repositories, 'repository', 'repositories')} gone; ${counted(objects, 'object')} deleted${lines.join('')}`
}

export function describeExplanation({ digest, holdings, fault, objectGoesAt }: GcExplanationView): string {
  const lines = holdings.map(holding => `${printable(holding.repository)}: ${describeHolding(holding)}`)
  if (fault !== null)
    lines.push(
      `${digest}: found ${fault.kind} ${fault.foundAt} (${printable(fault.detail)}); nobody gets it until it is pushed again`,
    )
  if (objectGoesAt !== null)
    lines.push(`${digest}: a blob of it is gone; its object is deleted after ${objectGoesAt}`)
  return lines.join('\n')
}

function describeHolding({
  repository,
  kind,
  path,
  keptBy,
  keptByDeleted,
  goesAt,
  reviewAt,
  since,
  subject,
}: GcHoldingView): string {
  if (goesAt !== null) return `manifest, deleted at ${since}, can be taken back until ${goesAt}`
  if (path !== null)
    return `${kind}, kept because ${[`${printable(repository)}:${printable(path.tag)}`, ...path.digests].join(' -> ')}`
  if (keptBy !== null) return `${kind}, kept because the manifest ${keptBy} is there, which no tag names`
  if (keptByDeleted !== null)
    return `${kind}, kept because the manifest ${keptByDeleted.digest}, deleted at ${keptByDeleted.deletedAt}, can be taken back until ${keptByDeleted.goesAt}`
  if (reviewAt === null)
    return subject === null
      ? `${kind}, kept though no tag names it: collect.untaggedHours is not set`
      : `${kind}, kept with its subject ${subject}`
  return kind === 'blob'
    ? `blob, named by no manifest; it goes after ${since}`
    : `manifest, without a tag since ${since}; looked at after ${reviewAt}`
}
