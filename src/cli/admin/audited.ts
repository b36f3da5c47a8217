import { randomUUID } from 'node:crypto'
import { DomainError, errnoOf, isDomainError } from '../../errors.ts'
import type { Administration } from '../../registry/admin/administration.ts'
import { adminOperations } from '../../registry/admin/administration.ts'
import { auditReferenceOf, auditTargetOf } from '../../registry/admin/audit-target.ts'
import { AuditFile } from '../../registry/audit/audit-file.ts'
import type { AuditRecords, NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { version } from '../../version.ts'

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
  { records, file: path, who }: AuditedOptions,
): Administration {
  return {
    call: async (operation, input, options) => {
      if (adminOperations[operation].method === 'GET')
        return await administration.call(operation, input, options)
      await using file = path === undefined ? undefined : await AuditFile.open(path)
      const tell = async (outcome: NewAuditEntry['outcome']): Promise<void> => {
        const entry: NewAuditEntry = {
          at: new Date(),
          account: who,
          credential: 'system',
          operation,
          target: auditTargetOf(operation, input),
          reference: auditReferenceOf(operation, input),
          outcome,
          rule: 'the system may do everything',
          address: '',
          userAgent: `varve/${version}`,
          requestId: randomUUID(),
        }
        await records.addAuditEntries([entry])
        await file?.append([entry]).catch((cause: unknown) => {
          throw new DomainError(
            'no_space',
            `This is done, and in the database's audit log, but it could not be written to ${path} (${errnoOf(cause) ?? 'no reason given'}).`,
            { resource: 'config', name: path },
            { cause },
          )
        })
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
