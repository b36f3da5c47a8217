import type { Abortable } from '../../../storage/abortable.ts'
import type { AccountName } from '../../../storage/accounts/names.ts'
import type { CredentialRecords, StoredCredential } from '../../../storage/metadata/account-records.ts'
import { isSecretOf, makeAccountToken, parseAccountToken } from '../identities/account-token.ts'
import type { UseLog } from '../identities/use-notes.ts'
import type { Identity, IdentityProvider } from '../identity.ts'

export interface RefreshTokenOptions {
  readonly credentials: Pick<CredentialRecords, 'addCredential' | 'findCredential'>
  readonly identities: Pick<IdentityProvider, 'renew'>
  readonly uses: UseLog
  readonly now?: (() => number) | undefined
}

/** What became of a refresh token that was shown. */
export interface Redeemed {
  /** Undefined when it is not good. */
  readonly identity: Identity | undefined
  /** Whose it is, or was; undefined when the text is none of ours. */
  readonly account: AccountName | undefined
}

/** Of one account: a program that logs in for each of its jobs gets one each time, and uses none of them ever again. */
const maxRefreshTokens = 1000

/**
 * The tokens that docker keeps instead of a password, and shows again and again without ever taking a new one in its
 * place. So each is good for ever, until what it was got by is not any more: the password, the API token, the account.
 */
export class RefreshTokens {
  readonly #credentials: RefreshTokenOptions['credentials']
  readonly #identities: Pick<IdentityProvider, 'renew'>
  readonly #uses: UseLog
  readonly #now: () => number

  constructor({ credentials, identities, uses, now = Date.now }: RefreshTokenOptions) {
    this.#credentials = credentials
    this.#identities = identities
    this.#uses = uses
    this.#now = now
  }

  /** @param description for those who look at the account's tokens. @returns undefined when this identity gets none. */
  async issue(
    { account, credential, scopes, stamp }: Identity,
    description: string,
    options?: Abortable,
  ): Promise<string | undefined> {
    if (stamp === null) return undefined
    const { id, text, secretDigest } = makeAccountToken('refresh')
    const [, parent = null] = /^token:(.+)$/.exec(credential) ?? []
    await this.#credentials.addCredential(
      { id, kind: 'refresh', account, secretDigest, description, scopes, stamp, parent },
      { ...options, keep: maxRefreshTokens },
    )
    return text
  }

  /** The account as it is now, limited as it was when the token was given. @throws DomainError `unavailable`. */
  async redeem(text: string, options?: Abortable): Promise<Redeemed> {
    const token = parseAccountToken(text)
    if (token?.kind !== 'refresh') return { identity: undefined, account: undefined }
    const stored = await this.#credentials.findCredential(token.id, options)
    if (stored?.kind !== 'refresh' || !isSecretOf(token, stored.secretDigest))
      return { identity: undefined, account: undefined }
    const identity = this.#isGood(stored) ? await this.#renew(stored, options) : undefined
    if (identity !== undefined)
      this.#uses.note({ account: stored.account, credential: stored.id, at: new Date(this.#now()) })
    return { identity, account: stored.account }
  }

  #isGood({ revokedAt, expiresAt }: StoredCredential): boolean {
    return revokedAt === null && (expiresAt === null || expiresAt.getTime() > this.#now())
  }

  async #renew(
    { id, account, stamp, scopes }: StoredCredential,
    options?: Abortable,
  ): Promise<Identity | undefined> {
    if (stamp === null) return undefined
    const identity = await this.#identities.renew(account, stamp, options)
    if (identity === undefined || identity.account !== account) return undefined
    return { ...identity, credential: `refresh:${id}`, scopes: scopes ?? identity.scopes }
  }
}
