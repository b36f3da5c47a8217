import { DomainError, type OAuthError } from '../../../errors.ts'
import { parseScopes, type ResourceScope } from './scope.ts'

/** What a client wants to have, whoever it is. */
export interface TokenWish {
  readonly scopes: readonly ResourceScope[]
  /** Whether a refresh token is wanted, too. */
  readonly offline: boolean
  /** Whom the client says it is for; undefined when it says nothing. */
  readonly account: string | undefined
  /** What the client calls itself: `docker`. Only for people to read. */
  readonly client: string
}

export type TokenGrantRequest =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'refresh'; readonly token: string }

/** Characters of what a client calls itself. */
const maxClient = 64

/**
 * GET (distribution, "Token Authentication Specification"): what is not known is ignored.
 * @throws DomainError `invalid` when the token is wanted for another service, or for too much at once.
 */
export function parseWish(parameters: URLSearchParams, service: string): TokenWish {
  const wanted = parameters.get('service') ?? ''
  if (wanted !== '' && wanted !== service)
    throw invalid(
      `This token service is that of ${service}, and of no other; take the service of its challenge.`,
      'invalid_request',
    )
  return {
    scopes: parseScopes(parameters.getAll('scope')),
    offline: parameters.get('offline_token') === 'true' || parameters.get('access_type') === 'offline',
    account: parameters.get('account') || undefined,
    client: (parameters.get('client_id') ?? '').replace(/[^\w.:/ -]/g, '').slice(0, maxClient),
  }
}

/**
 * The form of POST (distribution, "OAuth2 Token Authentication"; RFC 6749, 4.3.2 and 6): by what the token is asked for.
 * @throws DomainError `invalid`.
 */
export function parseGrantRequest(form: URLSearchParams): TokenGrantRequest {
  const type = only(form, 'grant_type')
  switch (type) {
    case 'password':
      return { kind: 'password', username: only(form, 'username'), password: only(form, 'password') }
    case 'refresh_token':
      return { kind: 'refresh', token: only(form, 'refresh_token') }
    default:
      throw invalid(
        'This token service knows the grant types password and refresh_token.',
        'unsupported_grant_type',
      )
  }
}

/** RFC 6749, 3.2: never twice. */
function only(form: URLSearchParams, name: string): string {
  const [value = '', ...surplus] = form.getAll(name)
  if (value === '' || surplus.length > 0)
    throw invalid(`The form has to have ${name}, once.`, 'invalid_request')
  // As in Basic credentials (RFC 7617, 2).
  if (/\p{Cc}/u.test(value)) throw invalid(`There are control characters in ${name}.`, 'invalid_request')
  return value
}

function invalid(message: string, oauth: OAuthError): DomainError {
  return new DomainError('invalid', message, { resource: 'credential', oauth })
}
