import type { Abortable } from '../../storage/abortable.ts'
import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'

/** CONTRACT. Where entries of the audit log go. */
export interface AuditLog {
  /** Kept a moment later, together with others. Never waits and never fails. */
  record(entry: NewAuditEntry): void
  /**
   * Resolves when the entry is kept: for changes that must not be acknowledged before.
   * @throws DomainError `unavailable` when the database does not answer; then the entry is not in it.
   */
  write(entry: NewAuditEntry, options?: Abortable): Promise<void>
}
