import { DomainError, type ErrorDetails } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { type AccountName, accountKindOf } from '../../storage/accounts/names.ts'
import type { Credentials } from './access-controller.ts'
import type { Authorization } from './authorization-header.ts'
import type { Identity, IdentityProvider } from './identity.ts'

/** What can tell who sends a request. */
export interface Logins {
  readonly identities: IdentityProvider
  /** Whom a good client certificate stands for; undefined for an account that is not known or disabled. */
  readonly certificates?: CertificateIdentities | undefined
  /** Whom an API token stands for that comes without a user name; undefined for one that is not good. */
  readonly bearers?: BearerIdentities | undefined
}

export type CertificateIdentities = (
  account: AccountName,
  options?: Abortable,
) => Promise<Identity | undefined>

export type BearerIdentities = (token: string, options?: Abortable) => Promise<Identity | undefined>

/** In the audit log, as the rule by which somebody is refused. */
export const provesNothing = 'what was shown proves no account'

/**
 * Who shows a user name and a password, or, without an `Authorization` of its own, a client certificate. Null: nobody in
 * particular.
 *
 * @param challenge what `WWW-Authenticate` answers to what is wrong.
 * @throws DomainError `unauthorized`, `throttled`, `unavailable`.
 */
export async function identityOf(
  authorization: Exclude<Authorization, { kind: 'bearer' }>,
  { certificate, address }: Pick<Credentials, 'certificate' | 'address'>,
  { identities, certificates }: Logins,
  challenge: string,
  options?: Abortable,
): Promise<Identity | null> {
  switch (authorization.kind) {
    case 'none':
      if (certificate === undefined || certificates === undefined) return null
      return (await certificates(certificate, options)) ?? null
    case 'malformed':
      throw unauthorized(`The header Authorization ${authorization.why}.`, challenge, {
        rule: provesNothing,
      })
    case 'basic': {
      const { username, password } = authorization
      const identity = await identities.verify({ username, password, address }, options)
      if (identity !== undefined) return identity
      throw unauthorized('The user name or the password is wrong.', challenge, {
        claimed: claimOf(username),
        rule: provesNothing,
      })
    }
  }
}

/** @param more for the audit log. */
export function unauthorized(
  message: string,
  challenge: string,
  more: Pick<ErrorDetails, 'rule' | 'account' | 'claimed'> = {},
): DomainError {
  return new DomainError('unauthorized', message, { resource: 'registry', challenge, ...more })
}

/** What is no account's name may be a password in the wrong place, so it is not kept. */
function claimOf(username: string): string | undefined {
  return accountKindOf(username) === undefined ? undefined : username
}
