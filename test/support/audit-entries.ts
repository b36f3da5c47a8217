import type { NewAuditEntry } from '../../src/storage/metadata/audit-records.ts'

/** An entry of which a test says only what it is about. */
export function auditEntry(change: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return {
    at: new Date(Date.UTC(2026, 0, 1)),
    operation: 'manifest.put',
    outcome: 'allowed',
    address: '192.0.2.1',
    userAgent: 'test/1',
    requestId: 'request',
    ...change,
  }
}
