import { DomainError } from '../../../errors.ts'
import { type AccountName, accountKindOf } from '../../../storage/accounts/names.ts'
import type {
  Credential,
  CredentialScope,
  StoredCredential,
} from '../../../storage/metadata/account-records.ts'
import { makeAccountToken } from '../../auth/identities/account-token.ts'
import type { AdminMetadata, Call } from './parts.ts'
import { requireRoom } from './tenants.ts'

interface WantedToken {
  readonly description?: string
  readonly scopes?: readonly CredentialScope[] | null
  readonly expiresAt?: Date | null
}

export interface MadeToken {
  readonly credential: Credential
  /** Told once, and kept nowhere. */
  readonly token: string
}

/**
 * Makes a token. One that is made by means of another for the same account ends with it, and never later: what was
 * given for a day must not be good for ever.
 * @throws DomainError `not_found` for a robot, or at the system's wish a user, that does not exist.
 */
export async function addToken(
  metadata: AdminMetadata,
  account: AccountName,
  wanted: WantedToken,
  call: Call,
): Promise<MadeToken> {
  const { signal, actor } = call
  const isOwn = call.standing.account === account
  if (isOwn && actor.kind === 'account' && actor.identity.credential.startsWith('oidc:'))
    throw new DomainError(
      'denied',
      `A token of an OpenID provider is good for minutes and makes no token that lasts; log in with a browser for one.`,
      { resource: 'credential', rule: `${account} has shown only a token of its provider` },
    )
  const parent = await parentOf(metadata, account, call)
  // Of those who ask for themselves it is known; others may be of an htpasswd file or of an OpenID provider.
  if (!isOwn && accountKindOf(account) !== 'federated') await metadata.getAccount(account, { signal })
  requireRoom(await metadata.listCredentials(account, 'token', { signal }), 'credential', account)
  const expiresAt = expiryOf(wanted.expiresAt, parent)
  const { id, text, secretDigest } = makeAccountToken('token')
  const credential = await metadata.addCredential(
    {
      id,
      kind: 'token',
      account,
      secretDigest,
      description: wanted.description ?? '',
      scopes: wanted.scopes ?? null,
      expiresAt,
      parent: parent?.id ?? null,
      // What an OpenID provider has vouched for holds for what is made on its word.
      memberships: parent?.memberships ?? [],
    },
    { signal },
  )
  return { credential, token: text }
}

/** The token by which the caller has come, when it is for the same account. */
async function parentOf(
  metadata: AdminMetadata,
  account: AccountName,
  { actor, signal }: Call,
): Promise<StoredCredential | undefined> {
  if (actor.kind === 'system' || actor.identity.account !== account) return undefined
  const [, id] = /^token:(.+)$/.exec(actor.identity.credential) ?? []
  return id === undefined ? undefined : await metadata.findCredential(id, { signal })
}

function expiryOf(wanted: Date | null | undefined, parent: Credential | undefined): Date | null {
  const limit = parent?.expiresAt ?? null
  if (wanted === undefined) return limit
  if (wanted !== null && wanted.getTime() <= Date.now())
    throw new DomainError(
      'invalid',
      `A token that ends at ${wanted.toISOString()} would never be good; give a time that is still to come.`,
      { resource: 'credential', name: 'expiresAt' },
    )
  if (limit === null || (wanted !== null && wanted <= limit)) return wanted
  throw new DomainError(
    'invalid',
    `A token that is made by means of a token cannot outlive it; this one ends at ${limit.toISOString()}.`,
    { resource: 'credential', name: 'expiresAt' },
  )
}
