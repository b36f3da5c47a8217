import type { Insertable, Selectable } from 'kysely'
import type { AuditEntry, NewAuditEntry } from './audit-records.ts'
import type { AuditRow } from './rows/accounts.ts'

export function toAuditEntry(row: Selectable<AuditRow>): AuditEntry {
  return {
    id: row.id,
    at: new Date(row.at),
    account: row.account ?? undefined,
    claimed: row.claimed ?? undefined,
    credential: row.credential ?? undefined,
    operation: row.operation,
    target: row.target ?? undefined,
    reference: row.reference ?? undefined,
    outcome: row.outcome,
    rule: row.rule ?? undefined,
    status: row.status ?? undefined,
    address: row.address,
    userAgent: row.user_agent,
    requestId: row.request_id,
  }
}

export function toAuditRow(entry: NewAuditEntry): Insertable<AuditRow> {
  return {
    at: entry.at.getTime(),
    account: entry.account ?? null,
    claimed: entry.claimed ?? null,
    credential: entry.credential ?? null,
    operation: entry.operation,
    target: entry.target ?? null,
    tenant: tenantIn(entry.target),
    reference: entry.reference ?? null,
    outcome: entry.outcome,
    rule: entry.rule ?? null,
    status: entry.status ?? null,
    address: entry.address,
    user_agent: entry.userAgent,
    request_id: entry.requestId,
  }
}

/** Null for what is no repository, such as `user:alice`. */
function tenantIn(target: string | undefined): string | null {
  return target === undefined || target.includes(':') ? null : (target.split('/', 1)[0] ?? null)
}
