import { isDomainError, primaryOf } from '../../errors.ts'
import { parseAuthorization } from '../auth/authorization-header.ts'
import type { RegistryRequest } from '../request.ts'

/** How a request was let in, or not: labels of a metric, so each is one of a few words. */
export interface AccessMeasure {
  readonly outcome: AccessOutcome
  readonly kind: AccessKind
}

/** `challenged`: nothing was shown yet; `unauthorized`: what was shown is not good, or not good enough. */
export type AccessOutcome = 'allowed' | 'challenged' | 'unauthorized' | 'denied' | 'throttled'

/** What was shown: `login` and `bearer` for what proves nobody, or was not looked at. */
export type AccessKind = (typeof provedKinds)[number] | 'nobody' | 'login' | 'other'

const provedKinds = ['password', 'token', 'refresh', 'oidc', 'certificate', 'bearer'] as const

/** Undefined for a request that nobody was asked to prove anything for, or that failed otherwise. */
export function accessOf(request: RegistryRequest, failure?: unknown): AccessMeasure | undefined {
  const { caller } = request.facts
  const error = failure === undefined ? undefined : primaryOf(failure)
  if (!isDomainError(error, 'unauthorized', 'denied', 'throttled'))
    return caller === undefined ? undefined : { outcome: 'allowed', kind: provedKind(caller.credential) }
  const kind = caller === undefined ? shownKind(request) : provedKind(caller.credential)
  if (error.code === 'unauthorized')
    return { outcome: kind === 'nobody' ? 'challenged' : 'unauthorized', kind }
  return { outcome: error.code === 'denied' ? 'denied' : 'throttled', kind }
}

function provedKind(credential: string | undefined): AccessKind {
  if (credential === undefined) return 'nobody'
  const word = credential.split(':', 1)[0]
  return provedKinds.find(kind => kind === word) ?? 'other'
}

function shownKind({ headers, facts }: RegistryRequest): AccessKind {
  switch (parseAuthorization(headers.authorization).kind) {
    case 'none':
      return facts.certificate === undefined ? 'nobody' : 'certificate'
    case 'basic':
      return 'login'
    case 'bearer':
      return 'bearer'
    case 'malformed':
      return 'other'
  }
}
