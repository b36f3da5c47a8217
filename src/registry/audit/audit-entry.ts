import { isAbort, isDomainError, primaryOf } from '../../errors.ts'
import type { NewAuditEntry } from '../../storage/metadata/audit-records.ts'
import { parseAuthorization } from '../auth/authorization-header.ts'
import { failureOf } from '../errcode.ts'
import type { Reply } from '../reply.ts'
import type { RegistryRequest } from '../request.ts'
import { auditText, auditTextLimits as limits } from './audit-text.ts'
import type { AuditKind } from './audited-operations.ts'

/** What was asked for, in the terms of the audit log. */
export interface Audited {
  readonly operation: string
  readonly kind: AuditKind
  readonly request: RegistryRequest
  readonly at: Date
}

/** The entry of a request that was answered; undefined when it is worth none. @param pulls whether pulls are. */
export function entryOfReply(
  audited: Audited,
  { status }: Reply,
  { pulls }: { readonly pulls: boolean },
): NewAuditEntry | undefined {
  const { kind, request } = audited
  switch (kind) {
    case 'read':
    case 'session':
      return undefined
    case 'pull':
      if (!pulls) return undefined
      break
    case 'change':
      // An upload has begun, and nothing has come of it yet.
      if (status === 202 && audited.operation === 'upload.start') return undefined
      break
    case 'login':
      // Nobody has logged in; that an answer which is no failure says no is for those who read it in a browser.
      if (status >= 400) return entryOf(audited, { outcome: 'denied', status })
      if ((request.facts.caller?.account ?? null) === null) return undefined
      break
    case 'administration':
      break
  }
  return entryOf(audited, { outcome: 'allowed', status, rule: request.facts.caller?.rule })
}

/**
 * The entry of a request that has failed; undefined when it is worth none: when a client that has shown nothing gets its
 * challenge, when a limit on how much is asked for is reached, when what failed would have changed nothing.
 */
export function entryOfFailure(audited: Audited, failure: unknown): NewAuditEntry | undefined {
  const error = primaryOf(failure)
  // The client has gone, and what it asked for has not been done.
  if (isAbort(error) && audited.request.signal.aborted) return undefined
  const { status } = failureOf(error)
  const { kind, request } = audited
  const details = isDomainError(error) ? error.details : undefined
  const rule = details?.rule ?? request.facts.caller?.rule
  if (isRefusal(error, audited)) {
    const { account, claimed } = details ?? {}
    return entryOf(audited, { outcome: 'denied', status, rule, account, claimed })
  }
  const changes = kind === 'change' || kind === 'administration'
  // Those who are not known have not come so far that anything could have been changed.
  if (!changes || request.facts.caller === undefined) return undefined
  return entryOf(audited, { outcome: 'failed', status, rule })
}

function isRefusal(error: unknown, { kind, request }: Audited): boolean {
  // One of the account that was tried, not of how much is asked for.
  if (isDomainError(error, 'throttled')) return error.details.resource === 'account'
  if (isDomainError(error, 'unauthorized'))
    return error.details.claimed !== undefined || showsSomething(request, kind)
  return isDomainError(error, 'denied')
}

/** Whether there is anything in the request that proves somebody, or should. */
function showsSomething({ method, headers, facts }: RegistryRequest, kind: AuditKind): boolean {
  return (
    parseAuthorization(headers.authorization).kind !== 'none' ||
    facts.certificate !== undefined ||
    // It is in the form.
    (kind === 'login' && method === 'POST')
  )
}

interface Outcome extends Pick<NewAuditEntry, 'outcome' | 'status' | 'rule'> {
  /** Of somebody who was refused: proved, or only claimed. */
  readonly account?: string | undefined
  readonly claimed?: string | undefined
}

function entryOf(
  { operation, kind, request, at }: Audited,
  { outcome, status, rule, account, claimed }: Outcome,
): NewAuditEntry {
  const { params, query, headers, facts, client, id } = request
  const { caller } = facts
  const proved = caller?.account ?? account
  const reference =
    facts.reference ?? params['reference'] ?? params['digest'] ?? query.get('digest') ?? query.get('mount')
  return {
    at,
    account: auditText(proved, limits.account),
    claimed: auditText(claimed ?? (proved === undefined ? facts.certificate : undefined), limits.account),
    credential: auditText(caller?.credential, limits.account),
    operation: kind === 'login' ? 'login' : operation,
    target: auditText(facts.target ?? params['name'], limits.target),
    reference: kind === 'login' ? undefined : auditText(reference, limits.reference),
    outcome,
    rule: auditText(rule, limits.rule),
    status,
    address: auditText(client, limits.address) ?? '',
    userAgent: auditText(headers['user-agent'], limits.userAgent) ?? '',
    requestId: auditText(id, limits.requestId) ?? '',
  }
}
