import type { MirrorRunView } from '../../registry/admin/mirror-views.ts'
import type { MirrorTotals } from '../../storage/metadata/mirror-records.ts'
import { formatBytes } from '../format.ts'

const counted = ['copied', 'unchanged', 'skipped', 'deleted', 'failed'] as const

/** `3 copied, 997 unchanged, 1 failed; 12.5 MiB`. */
export function shownTotals(totals: MirrorRunView['totals'] | MirrorTotals): string {
  const parts = counted.filter(name => totals[name] > 0).map(name => `${totals[name]} ${name}`)
  const bytes = Math.max(totals.bytesReceived, totals.bytesSent)
  return `${parts.join(', ') || 'nothing'}${bytes === 0 ? '' : `; ${formatBytes(bytes)}`}`
}
