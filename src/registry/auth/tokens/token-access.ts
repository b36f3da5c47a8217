import type { Access } from '../access.ts'
import type { AccessController, AuthorizeOptions, Caller, Credentials } from '../access-controller.ts'
import type { AccessPolicy } from '../access-policy.ts'
import { type Authorization, parseAuthorization } from '../authorization-header.ts'
import { denied } from '../basic-access.ts'
import { type BearerChallenge, bearerChallenge, realmFor } from '../challenge.ts'
import { looksLikeAccountToken } from '../identities/account-token.ts'
import { letIn } from '../let-in.ts'
import { identityOf, type Logins, unauthorized } from '../login.ts'
import { refusalRule, tokenCaller } from './token-caller.ts'
import { allows } from './token-claims.ts'
import type { TokenVerifier } from './token-verifier.ts'

export interface TokenAccessOptions {
  readonly verifier: Pick<TokenVerifier, 'verify'>
  /** Name of the registry in challenges and tokens. */
  readonly service: string
  /** URL of the token service; made from each request unless given. */
  readonly realm?: string | undefined
  /** Those who are known here. Undefined when all that counts are the tokens of another service. */
  readonly accounts?: TokenAccounts | undefined
}

export interface TokenAccounts {
  readonly logins: Logins
  readonly policy: AccessPolicy
}

/** What is made of a request before anything is decided. */
interface Asked {
  readonly request: Credentials
  readonly wanted: readonly Access[]
  readonly options: AuthorizeOptions | undefined
  readonly challenge: (error?: BearerChallenge['error']) => string
}

/**
 * Access tokens, which clients get from the token service that the challenge names. GET /v2/ is refused without one, for
 * docker learns there, and only there, where to get them. User name and password, or an API token, may be sent at once
 * instead, and what is public can be pulled with nothing by clients that do not ask first.
 */
export class TokenAccess implements AccessController {
  readonly #options: TokenAccessOptions

  constructor(options: TokenAccessOptions) {
    this.#options = options
  }

  async authorize(
    request: Credentials,
    wanted: readonly Access[],
    options?: AuthorizeOptions,
  ): Promise<Caller> {
    options?.signal?.throwIfAborted()
    const { service, realm, accounts } = this.#options
    const asked: Asked = {
      request,
      wanted,
      options,
      challenge: error =>
        bearerChallenge({
          realm: realm ?? realmFor(request.scheme, request.host),
          service,
          wanted: [...wanted, ...(options?.wishes ?? [])],
          error,
        }),
    }
    const authorization = parseAuthorization(request.authorization)
    if (authorization.kind !== 'bearer') return await this.#authorizeLogin(authorization, asked)
    const { token } = authorization
    return accounts !== undefined && looksLikeAccountToken(token)
      ? await this.#authorizeApiToken(token, accounts, asked)
      : await this.#authorizeToken(token, asked)
  }

  async #authorizeToken(token: string, { request, wanted, options, challenge }: Asked): Promise<Caller> {
    const content = await this.#options.verifier.verify(token, {
      signal: options?.signal,
      connection: request.connection,
    })
    if (content === undefined)
      throw unauthorized(
        'The token is not good, or not any more; get a new one.',
        challenge('invalid_token'),
        {
          rule: 'what was shown proves no account',
        },
      )
    if (!wanted.every(access => allows(content.access, access)))
      throw unauthorized('The token is not good for that.', challenge('insufficient_scope'), {
        rule: refusalRule(content, wanted),
        account: content.account ?? undefined,
      })
    return tokenCaller(content, this.#options.accounts?.policy)
  }

  /** A wider one may be had, so too little is answered as it is for other tokens. */
  async #authorizeApiToken(
    token: string,
    { logins, policy }: TokenAccounts,
    { wanted, options, challenge }: Asked,
  ): Promise<Caller> {
    const identity = await logins.bearers?.(token, options)
    if (identity === undefined)
      throw unauthorized('The API token is not good, or not any more.', challenge('invalid_token'), {
        rule: 'what was shown proves no account',
      })
    return await letIn(identity, policy, wanted, options, (_access, rule) =>
      unauthorized('The API token is not good for that.', challenge('insufficient_scope'), {
        rule,
        account: identity.account,
      }),
    )
  }

  async #authorizeLogin(
    authorization: Exclude<Authorization, { kind: 'bearer' }>,
    { request, wanted, options, challenge }: Asked,
  ): Promise<Caller> {
    const { accounts } = this.#options
    if (accounts === undefined)
      throw unauthorized('This registry wants a token; its challenge says where to get it.', challenge())
    const { logins, policy } = accounts
    const identity = await identityOf(authorization, request, logins, challenge(), options)
    if (identity === null && wanted.length === 0)
      throw unauthorized('This registry wants a token; its challenge says where to get it.', challenge())
    return await letIn(identity, policy, wanted, options, (access, rule) =>
      identity === null
        ? unauthorized('This takes a token; the challenge says where to get it.', challenge(), { rule })
        : denied(identity.account, access, rule),
    )
  }
}
