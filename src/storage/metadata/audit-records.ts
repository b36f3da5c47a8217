import type { Abortable } from '../abortable.ts'

/**
 * CONTRACT. Who did what, to which thing, from where, and whether and why they were let. Only ever added to.
 * `test/contract/audit.ts`.
 */
export interface AuditRecords {
  /**
   * All of them, or none. What fails while it is being committed may be there nevertheless.
   * @throws DomainError `invalid` for a NUL character.
   */
  addAuditEntries(entries: readonly NewAuditEntry[], options?: Abortable): Promise<void>
  /** Newest first; of those of the same time, the one that was written last. */
  listAudit(query: AuditQuery, options?: Abortable): Promise<AuditEntry[]>
  /** The only way to take entries away: those that are older, the oldest first, up to `limit`. Answers how many. */
  deleteAuditBefore(before: Date, limit: number, options?: Abortable): Promise<number>
}

export interface NewAuditEntry {
  readonly at: Date
  /** Undefined: nobody in particular. What somebody only claimed to be is in `claimed`. */
  readonly account?: string | undefined
  /** The name that somebody gave who could not prove it. */
  readonly claimed?: string | undefined
  /** What proved who they are: `password`, `token:ID`, `refresh:ID`, `oidc:PROVIDER`, `certificate`, `bearer:JTI`. */
  readonly credential?: string | undefined
  /** Name of an operation of a route table, such as `manifest.put` or `tenant.create`; `login` for the token service. */
  readonly operation: string
  /** The repository, or `tenant:acme`, `user:alice` …. */
  readonly target?: string | undefined
  /** Tag or digest. */
  readonly reference?: string | undefined
  readonly outcome: 'allowed' | 'denied' | 'failed'
  /** By which rule, in the words of `varve access explain`. */
  readonly rule?: string | undefined
  /** HTTP status that was answered. */
  readonly status?: number | undefined
  readonly address: string
  readonly userAgent: string
  readonly requestId: string
}

export interface AuditEntry extends NewAuditEntry {
  /** Grows. */
  readonly id: number
}

export interface AuditQuery {
  readonly limit: number
  /** Only what comes after the entry of this id in the list. */
  readonly before?: number | undefined
  /** From then on. */
  readonly since?: Date | undefined
  /** Until just before then. */
  readonly until?: Date | undefined
  readonly account?: string | undefined
  /** Exactly, or all repositories of a tenant or of a part of it: `acme/**`, `acme/team/**`. */
  readonly target?: string | undefined
  readonly operation?: string | undefined
  readonly outcome?: NewAuditEntry['outcome'] | undefined
}
