import { counted } from '../counted.ts'
import type { BlobFaultView, ScrubRunView, ScrubStatusView } from '../registry/admin/scrub-views.ts'
import { formatBytes, formatTable } from './format.ts'
import { printable } from './printable.ts'

export function describeScrub(status: ScrubStatusView): string {
  const { bytesPerSecond, beganAt, endedAt, faults, strays, totals } = status
  return formatTable(
    [],
    [
      ['check', describePass(status)],
      [
        'rate',
        bytesPerSecond === 0 ? 'only when somebody asks for it' : `${formatBytes(bytesPerSecond)} per second`,
      ],
      ['last pass', `began ${beganAt ?? 'never'}, ended ${endedAt ?? 'never'}`],
      ['damaged now', `${counted(faults.corrupt, 'blob')} corrupt, ${faults.missing} missing`],
      ['without a name', `${counted(strays.objects, 'object')}, ${formatBytes(strays.bytes)}`],
      ['checked', `${counted(totals.blobs, 'blob')}, ${formatBytes(totals.bytes)}`],
      ['found', `${totals.corrupt} corrupt, ${totals.missing} missing, ${totals.healed} healed`],
    ],
  )
}

function describePass({ phase, pass }: ScrubStatusView): string {
  if (pass.stoppedAt !== null)
    return `stopped ${pass.stoppedAt} after ${pass.missing} missing blobs: is it the right bucket? If so: varve scrub run --all`
  if (phase === null) return 'between passes'
  if (phase === 'objects') return 'under way: all blobs checked, looking for objects without a name'
  return `under way: ${pass.blobs} of ${counted(pass.known, 'blob')} checked`
}

export function describeRun(run: ScrubRunView): string {
  const { blobs, bytes, corrupt, missing, healed, strays, discarded, unsettled } = run
  const rest = unsettled === 0 ? '' : `; ${unsettled} could not be judged`
  return `${counted(blobs, 'blob')} checked, ${formatBytes(bytes)} read: ${corrupt} corrupt, ${missing} missing, ${healed} healed; ${counted(strays, 'object')} without a name read, ${discarded} given up${rest}`
}

export function describeFaultPlaces({ repositories }: Pick<BlobFaultView, 'repositories'>): string {
  return repositories
    .map(({ repository, tag }) => printable(tag === null ? repository : `${repository}:${tag}`))
    .join(' ')
}
