import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics/metrics.ts'
import { AuditFile } from '../../registry/audit/audit-file.ts'
import { AuditTrail } from '../../registry/audit/audit-trail.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { dayMs } from '../../storage/durations.ts'
import type { AuditRecords } from '../../storage/metadata/audit-records.ts'
import { hourly } from './hourly.ts'

export interface AuditContext {
  readonly config: Config
  readonly metadata: Pick<AuditRecords, 'addAuditEntries'>
  readonly metrics: Pick<Metrics, 'auditDropped' | 'accessMeasured'>
  readonly log: Logger
}

/**
 * The audit log of one process that serves requests. Undefined where everybody may do everything and nobody has asked
 * for a file: there is nobody to name.
 *
 * @param stack what has to be written at the end goes here.
 * @throws DomainError `invalid` for a file that cannot be opened.
 */
export async function openAudit(
  { config, metadata, metrics, log }: AuditContext,
  stack: AsyncDisposableStack,
): Promise<AuditTrail | undefined> {
  const { file: path, pulls } = config.audit
  if (config.auth.mode === 'none' && path === undefined) return undefined
  const file = path === undefined ? undefined : stack.use(await AuditFile.open(path))
  if (file !== undefined) {
    const reopen = (): void => file.reopen()
    process.on('SIGHUP', reopen)
    stack.defer(() => void process.off('SIGHUP', reopen))
  }
  return stack.use(
    new AuditTrail({
      records: metadata,
      file,
      log,
      pulls,
      onDropped: (count, where) => metrics.auditDropped(where, count),
      onAccess: ({ outcome, kind }) => metrics.accessMeasured(outcome, kind),
    }),
  )
}

/** Entries that are deleted in one transaction. */
const batchSize = 1000

/** Deletes entries that are older than so many days: now and every hour. */
export function deleteOldAudit(
  records: Pick<AuditRecords, 'deleteAuditBefore'>,
  days: number,
  log: Logger,
): AsyncDisposable {
  return hourly(
    async options => {
      const deleted = await deleteAll(records, new Date(Date.now() - days * dayMs), options)
      if (deleted > 0) log.info({ deleted }, 'old entries of the audit log deleted')
    },
    error => log.error({ error }, 'old entries of the audit log could not be deleted'),
  )
}

async function deleteAll(
  records: Pick<AuditRecords, 'deleteAuditBefore'>,
  before: Date,
  options: Abortable,
): Promise<number> {
  for (let total = 0; ; ) {
    const deleted = await records.deleteAuditBefore(before, batchSize, options)
    total += deleted
    if (deleted < batchSize) return total
  }
}
