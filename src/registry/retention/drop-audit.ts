import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { auditText, auditTextLimits as limits } from '../audit/audit-text.ts'
import { retentionRequester } from './requester.ts'

/** What has been dropped, and why, for the audit log. */
export interface Drop {
  readonly repository: RepositoryName
  /** A tag, or the digest of what had none. */
  readonly reference: string
  readonly reason: string
  readonly at: Date
}

export function auditEntryOf({ repository, reference, reason, at }: Drop): NewAuditEntry {
  const { account, userAgent, requestId } = retentionRequester
  return {
    at,
    account,
    credential: 'system',
    operation: 'retention.drop',
    target: auditText(repository, limits.target),
    reference: auditText(reference, limits.reference),
    outcome: 'allowed',
    rule: auditText(reason, limits.rule),
    address: '',
    userAgent,
    requestId,
  }
}
