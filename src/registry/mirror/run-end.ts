import type { MirrorTotals } from '../../storage/metadata/mirror-records.ts'
import type { MirrorRunEnd } from './run-job.ts'

/** Characters; what a source says may be long. */
export const maxReason = 500

export interface RunFacts {
  readonly totals: MirrorTotals
  readonly isStopped: boolean
  /** Why it has not gone on, if it has not. */
  readonly givenUp: string | undefined
  readonly firstFailure: string | undefined
}

/** What a run has come to. */
export function runEnd({ totals, isStopped, givenUp, firstFailure = '' }: RunFacts): MirrorRunEnd {
  if (givenUp !== undefined) return { totals, outcome: 'failed', reason: givenUp.slice(0, maxReason) }
  if (isStopped) return { totals, outcome: 'stopped', reason: 'It was stopped.' }
  const { copied, unchanged, skipped, failed, deleted } = totals
  if (failed === 0) return { totals, outcome: 'ok', reason: undefined }
  const all = copied + unchanged + skipped + failed + deleted
  const reason = `${failed} of ${all} failed; the first: ${firstFailure}`.slice(0, maxReason)
  return { totals, outcome: failed === all ? 'failed' : 'partial', reason }
}
