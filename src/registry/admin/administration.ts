import type * as z from 'zod'
import type { Abortable } from '../../storage/abortable.ts'
import { accountOperations } from './operations/accounts.ts'
import { backupOperations } from './operations/backup.ts'
import { gcOperations } from './operations/gc.ts'
import { historyOperations } from './operations/history.ts'
import { mirrorOperations } from './operations/mirror.ts'
import { repositoryOperations } from './operations/repositories.ts'
import { retentionOperations } from './operations/retention.ts'
import { scrubOperations } from './operations/scrub.ts'
import { tenantOperations } from './operations/tenants.ts'
import { upkeepOperations } from './operations/upkeep.ts'

/** All that can be administered, by the stable names of the operations. */
export const adminOperations = {
  ...tenantOperations,
  ...accountOperations,
  ...upkeepOperations,
  ...mirrorOperations,
  ...gcOperations,
  ...historyOperations,
  ...backupOperations,
  ...retentionOperations,
  ...repositoryOperations,
  ...scrubOperations,
} as const

export type AdminOperation = keyof typeof adminOperations

export const operationNames = Object.keys(adminOperations) as readonly AdminOperation[]

/** What an operation is asked with, as JSON has it. */
export type AdminInput<Name extends AdminOperation> = z.input<(typeof adminOperations)[Name]['input']>

/** The same, checked. */
export type CheckedInput<Name extends AdminOperation> = z.output<(typeof adminOperations)[Name]['input']>

/** What it answers, as JSON has it. */
export type AdminOutput<Name extends AdminOperation> = z.output<(typeof adminOperations)[Name]['output']>

/**
 * CONTRACT. Administration on behalf of one caller. Implementations: on the database itself, and over HTTP. The
 * executable half is `test/contract/administration.ts`.
 */
export interface Administration {
  /**
   * @throws DomainError `invalid` for what is written wrongly; `denied` when the caller may not, and `not_found` where
   * even that would tell that something exists; otherwise what the table of operations says.
   */
  call<Name extends AdminOperation>(
    operation: Name,
    input: AdminInput<Name>,
    options?: Abortable,
  ): Promise<AdminOutput<Name>>
}
