import { isDomainError } from '../../errors.ts'
import type { Administration } from '../../registry/admin/administration.ts'
import { adminOperations } from '../../registry/admin/administration.ts'
import { auditReferenceOf, auditTargetOf } from '../../registry/admin/audit-target.ts'
import type { AuditRecords, NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { SystemAudit } from './system-audit.ts'

export interface AuditedOptions {
  readonly records: Pick<AuditRecords, 'addAuditEntries'>
  /** `audit.file`, to which entries are appended besides. */
  readonly file?: string | undefined
  readonly who: string
}

/**
 * Tells of each change that somebody makes by a command on the database, before the command says that it is done. Where
 * the file cannot be opened nothing is changed.
 */
export function audited(
  administration: Administration,
  { records, file, who }: AuditedOptions,
): Administration {
  return {
    call: async (operation, input, options) => {
      if (adminOperations[operation].method === 'GET')
        return await administration.call(operation, input, options)
      await using audit = await SystemAudit.open(file, who)
      const tell = async (outcome: NewAuditEntry['outcome']): Promise<void> => {
        const [target, reference] = [auditTargetOf(operation, input), auditReferenceOf(operation, input)]
        await audit.tell(records, { operation, target, reference, outcome })
      }
      try {
        const output = await administration.call(operation, input, options)
        await tell('allowed')
        return output
      } catch (error) {
        // What was only mistyped is no event; that the database was away cannot be told to it.
        if (isDomainError(error, 'conflict', 'already_exists', 'not_found', 'denied')) await tell('failed')
        throw error
      }
    },
  }
}
