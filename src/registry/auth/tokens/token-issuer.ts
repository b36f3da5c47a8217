import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { maxAuthorization } from '../authorization-header.ts'
import { type SigningKeys, signingAlgorithm } from './signing-keys.ts'
import { claimsOf, type TokenContent } from './token-claims.ts'

export interface TokenIssuerSettings {
  /** Name of the registry: it signs (`iss`), and it is who shall believe it (`aud`). */
  readonly service: string
  readonly lifetimeSeconds: number
}

export interface IssuedToken {
  readonly text: string
  readonly id: string
  readonly issuedAt: Date
  readonly expiresInSeconds: number
}

/** Characters: with the scheme's name it has to fit into one header. */
const maxTokenLength = maxAuthorization - 'Bearer '.length

/** Signs access tokens: JWTs with the claims of distribution, "Token Authentication Implementation". */
export class TokenIssuer {
  readonly #keys: Pick<SigningKeys, 'signer'>
  readonly #settings: TokenIssuerSettings
  readonly #now: () => number

  constructor(
    keys: Pick<SigningKeys, 'signer'>,
    settings: TokenIssuerSettings,
    now: () => number = Date.now,
  ) {
    this.#keys = keys
    this.#settings = settings
    this.#now = now
  }

  /** @throws DomainError `invalid` when it would be too long to be sent; `unavailable` when the database is away. */
  async issue(content: Omit<TokenContent, 'id'>, options?: Abortable): Promise<IssuedToken> {
    const { service, lifetimeSeconds } = this.#settings
    const { id: kid, key } = await this.#keys.signer(options)
    const id = randomUUID()
    const issuedAt = Math.floor(this.#now() / 1000)
    const text = await new SignJWT(claimsOf(content))
      .setProtectedHeader({ typ: 'JWT', alg: signingAlgorithm, kid })
      .setIssuer(service)
      .setAudience(service)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + lifetimeSeconds)
      .setJti(id)
      .sign(key)
    if (text.length > maxTokenLength)
      throw new DomainError(
        'invalid',
        'A token for all of these scopes would be too long to be sent; ask for several tokens.',
        { resource: 'credential' },
      )
    return { text, id, issuedAt: new Date(issuedAt * 1000), expiresInSeconds: lifetimeSeconds }
  }
}
