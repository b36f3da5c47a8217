import { DomainError, isDomainError } from '../../errors.ts'
import { parseAuthorization } from '../auth/authorization-header.ts'
import { callerOf } from '../auth/caller.ts'
import { basicChallenge } from '../auth/challenge.ts'
import type { Identity } from '../auth/identity.ts'
import { identityOf, type Logins, unauthorized } from '../auth/login.ts'
import { printScope } from '../auth/tokens/scope.ts'
import {
  parseGrantRequest,
  parseWish,
  type TokenGrantRequest,
  type TokenWish,
} from '../auth/tokens/token-request.ts'
import type { GrantedToken, TokenService } from '../auth/tokens/token-service.ts'
import { readSmall } from '../bounded-body.ts'
import type { Handler } from '../handler.ts'
import { json, type Reply } from '../reply.ts'
import type { RegistryRequest } from '../request.ts'

export interface TokenHandlerOptions {
  readonly tokens: TokenService
  readonly logins: Logins
  /** Name of the registry in tokens and challenges. */
  readonly service: string
  /** Whether those without an account get tokens, too. */
  readonly anonymous: boolean
}

export interface TokenHandlers {
  readonly get: Handler
  readonly post: Handler
}

/** Bytes: a password may be the token of an OpenID provider, and there may be a hundred scopes. */
const maxForm = 64 * 1024
const formType = 'application/x-www-form-urlencoded'

/** Whoever has shown who they are, and the refresh token that it was shown by, if it was one. */
interface Shown {
  readonly identity: Identity | null
  readonly refreshToken?: string | undefined
}

/**
 * distribution, "Token Authentication Specification" (GET) and "OAuth2 Token Authentication" (POST).
 *
 * @throws DomainError `unauthorized` for a wrong password or refresh token, or when nobody is not let in; `invalid` for
 * what makes no sense; `throttled`, `unavailable`. Too little right is no failure.
 */
export function createTokenHandlers({
  tokens,
  logins,
  service,
  anonymous,
}: TokenHandlerOptions): TokenHandlers {
  const challenge = basicChallenge(service)

  async function shownByHeader(request: RegistryRequest, { account }: TokenWish): Promise<Shown> {
    const { headers, facts, client: address, signal } = request
    const authorization = parseAuthorization(headers.authorization)
    if (authorization.kind === 'bearer')
      throw unauthorized('The token service takes a user name and a password.', challenge)
    const who = { certificate: facts.certificate, address }
    const identity = await identityOf(authorization, who, logins, challenge, { signal })
    const named = authorization.kind === 'basic' ? authorization.username : undefined
    refuseOther(account, named, identity)
    if (identity === null && !anonymous)
      throw unauthorized('Nobody gets a token here without an account; log in.', challenge)
    return { identity }
  }

  async function shownByForm(
    grant: TokenGrantRequest,
    { account: wanted }: TokenWish,
    { client: address, signal }: RegistryRequest,
  ): Promise<Shown> {
    if (grant.kind === 'password') {
      const authorization = { ...grant, kind: 'basic' } as const
      const identity = await identityOf(authorization, { address }, logins, challenge, { signal })
      refuseOther(wanted, grant.username, identity)
      return { identity }
    }
    const { identity, account } = await tokens.refreshTokens.redeem(grant.token, { signal })
    if (identity === undefined)
      throw unauthorized('The refresh token is not good, or not any more; log in again.', challenge, {
        rule: 'what was shown proves no account',
        claimed: account,
      })
    refuseOther(wanted, undefined, identity)
    return { identity, refreshToken: grant.token }
  }

  /** @param wanted whom the client says that it wants the token for. @param named the user name that came with a password. */
  function refuseOther(
    wanted: string | undefined,
    named: string | undefined,
    identity: Identity | null,
  ): void {
    if (wanted === undefined || wanted === named || wanted === identity?.account) return
    throw unauthorized('The account is another one than that of the password.', challenge, {
      rule: 'what was shown proves another account, or none',
      claimed: identity?.account,
    })
  }

  async function answer(request: RegistryRequest, wish: TokenWish, shown: Shown): Promise<Reply> {
    const { facts, signal, client: address } = request
    const { identity } = shown
    const token = await tokens.grant(identity, wish.scopes, { signal })
    facts.caller = callerOf(identity, token.rule, tokens.policy)
    if (!wish.offline || identity === null) return tokenReply(token, undefined)
    const description = `of ${wish.client === '' ? 'a client' : wish.client} at ${address}`
    // RFC 6749, 6, allows another one, but docker would never take it.
    const refreshToken =
      shown.refreshToken ?? (await tokens.refreshTokens.issue(identity, description, { signal }))
    return tokenReply(token, refreshToken)
  }

  return {
    get: async request => {
      const wish = parseWish(request.query, service)
      return await answer(request, wish, await shownByHeader(request, wish))
    },
    post: request =>
      inOAuth(async () => {
        const form = await readForm(request)
        const wish = parseWish(form, service)
        return await answer(request, wish, await shownByForm(parseGrantRequest(form), wish, request))
      }),
  }
}

async function readForm(request: RegistryRequest): Promise<URLSearchParams> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1)
  if (type.trim().toLowerCase() !== formType)
    throw new DomainError('invalid', `The token service takes a form: ${formType}.`, {
      resource: 'credential',
      oauth: 'invalid_request',
    })
  return new URLSearchParams(Buffer.from(await readSmall(request, maxForm, 'credential')).toString('utf8'))
}

/** RFC 6749, 5.2, calls what was shown a grant. */
async function inOAuth(answer: () => Promise<Reply>): Promise<Reply> {
  try {
    return await answer()
  } catch (error) {
    if (!isDomainError(error, 'unauthorized', 'invalid') || error.details.oauth !== undefined) throw error
    const oauth = error.code === 'unauthorized' ? 'invalid_grant' : 'invalid_request'
    throw new DomainError(error.code, error.message, { ...error.details, oauth }, { cause: error })
  }
}

/** In both dialects at once: clients look for `token` or for `access_token`. RFC 6749, 5.1: kept by nobody on the way. */
function tokenReply(
  { text, access, expiresInSeconds, issuedAt }: GrantedToken,
  refreshToken: string | undefined,
): Reply {
  const answer = {
    token: text,
    access_token: text,
    token_type: 'Bearer',
    scope: access.map(printScope).join(' '),
    expires_in: expiresInSeconds,
    // RFC 3339.
    issued_at: issuedAt.toISOString(),
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  }
  return json(200, answer, { 'Cache-Control': 'no-store', Pragma: 'no-cache' })
}
