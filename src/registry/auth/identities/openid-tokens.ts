import { decodeJwt } from 'jose'
import type { Abortable } from '../../../storage/abortable.ts'
import type { Identity, IdentityProvider, Login } from '../identity.ts'
import type { OpenIdProvider } from './openid-provider.ts'

/** Characters: the header of a request has no room for more. */
const maxToken = 16 * 1024
/** More than bcrypt's 72 bytes: no password has this form. The first three letters are `{"` in base64. */
const jwtPattern = /^eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{40,}$/

/** Whether a password is meant to be a signed JWT (RFC 7519), be it a good one or not. */
export function looksLikeJwt(text: string): boolean {
  return text.length <= maxToken && jwtPattern.test(text) && text.length > 72
}

/**
 * Tokens of OpenID providers, in place of a password and with any user name: what they are worth is in them. They live
 * for minutes, so there is nothing to renew: whoever has one gets the next one where they got it.
 */
export class OpenIdTokens implements IdentityProvider {
  readonly #providers: readonly OpenIdProvider[]

  /** @param providers may have an issuer in common: then the first one counts that takes a token. */
  constructor(providers: readonly OpenIdProvider[]) {
    this.#providers = providers
  }

  async verify({ password }: Login, options?: Abortable): Promise<Identity | undefined> {
    return await this.verifyToken(password, options)
  }

  /** @throws DomainError `unavailable` when the provider cannot be asked. */
  async verifyToken(text: string, options?: Abortable): Promise<Identity | undefined> {
    options?.signal?.throwIfAborted()
    if (!looksLikeJwt(text)) return undefined
    const issuer = issuerIn(text)
    for (const provider of this.#providers) {
      const identity = provider.options.issuer === issuer ? await provider.verify(text, options) : undefined
      if (identity !== undefined) return identity
    }
    return undefined
  }

  async renew(): Promise<undefined> {
    return undefined
  }
}

/** Whose keys to try; nothing is believed yet. */
function issuerIn(token: string): string | undefined {
  try {
    return decodeJwt(token).iss
  } catch {
    return undefined
  }
}
