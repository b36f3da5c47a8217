import type {
  MirrorResult,
  MirrorRun,
  MirrorRunId,
  MirrorTotals,
  NewMirrorRun,
  NumberedMirrorResult,
} from './mirror-records.ts'
import type { MirrorResultRow, MirrorRunRow } from './rows/mirror.ts'

/** Characters of a text that may be another registry's words. */
const maxText = 2000

export const noTotals: MirrorTotals = Object.freeze({
  copied: 0,
  unchanged: 0,
  skipped: 0,
  failed: 0,
  deleted: 0,
  requests: 0,
  bytesReceived: 0,
  bytesSent: 0,
  blobsCopied: 0,
  blobsMounted: 0,
})

/** Words of others, so that they can be stored: PostgreSQL's text has no NUL. */
export function plainText(text: string): string {
  return text.replaceAll('\0', '\u{fffd}').slice(0, maxText)
}

export function toRunRow({ id, job, trigger, by, startedAt }: NewMirrorRun): Omit<MirrorRunRow, 'serial'> {
  return {
    id,
    job,
    trigger,
    requester: by === null ? null : plainText(by),
    started_at: startedAt.getTime(),
    totals: JSON.stringify(noTotals),
    outcome: null,
    reason: null,
    ended_at: null,
    resume_at: null,
  }
}

export function toRun(row: Omit<MirrorRunRow, 'serial'>): MirrorRun {
  return {
    id: row.id,
    job: row.job,
    trigger: row.trigger,
    by: row.requester,
    startedAt: new Date(row.started_at),
    // Nobody but `toColumns` writes it.
    totals: JSON.parse(row.totals) as MirrorTotals,
    ...(row.outcome === null ? {} : { outcome: row.outcome }),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.ended_at === null ? {} : { endedAt: new Date(row.ended_at) }),
    ...(row.resume_at === null ? {} : { resumeAt: new Date(row.resume_at) }),
  }
}

export function toResultRow(run: MirrorRunId, result: MirrorResult): Omit<MirrorResultRow, 'serial'> {
  const { source, target, tag, outcome, digest, reason, bytes, at } = result
  return {
    run,
    source: plainText(source),
    target: plainText(target),
    tag: tag === null ? null : plainText(tag),
    outcome,
    digest,
    reason: reason === null ? null : plainText(reason),
    bytes,
    at: at.getTime(),
  }
}

export function toResult(row: MirrorResultSelection): NumberedMirrorResult {
  const { serial, source, target, tag, outcome, digest, reason, bytes, at } = row
  return { serial, source, target, tag, outcome, digest, reason, bytes, at: new Date(at) }
}

type MirrorResultSelection = Omit<MirrorResultRow, 'serial' | 'run'> & { readonly serial: number }
