import { DomainError } from '../../errors.ts'
import type { ChangeMark } from '../../storage/metadata/kept-values.ts'
import type { Access } from './access.ts'
import type { AccessController, AuthorizeOptions, Caller, Credentials } from './access-controller.ts'
import type { AccessPolicy } from './access-policy.ts'
import { parseAuthorization } from './authorization-header.ts'
import { basicChallenge } from './challenge.ts'
import { KnownCallers, type LetIn } from './known-callers.ts'
import { letIn } from './let-in.ts'
import { identityOf, type Logins, provesNothing, unauthorized } from './login.ts'

export interface BasicAccessOptions extends Logins {
  readonly policy: AccessPolicy
  /** Name of the registry in the challenge. */
  readonly service: string
  /** That of the database with all of this in it; unless given nobody is remembered. */
  readonly changeMark?: ChangeMark | undefined
}

/**
 * User name and password, or API token, with every request. GET /v2/ is refused without them: docker decides there, and
 * only there, whether it sends any. What is public can be pulled without by clients that do not ask first.
 */
export class BasicAccess implements AccessController {
  readonly #logins: Logins
  readonly #policy: AccessPolicy
  readonly #challenge: string
  readonly #known: KnownCallers

  constructor({ policy, service, changeMark = () => undefined, ...logins }: BasicAccessOptions) {
    this.#logins = logins
    this.#known = new KnownCallers({ identities: logins.identities, changeMark })
    this.#policy = policy
    this.#challenge = basicChallenge(service)
  }

  async authorize(
    request: Credentials,
    wanted: readonly Access[],
    options?: AuthorizeOptions,
  ): Promise<Caller> {
    options?.signal?.throwIfAborted()
    return await this.#known.of(request, wanted, () => this.#letIn(request, wanted, options))
  }

  async #letIn(
    request: Credentials,
    wanted: readonly Access[],
    options: AuthorizeOptions | undefined,
  ): Promise<LetIn> {
    const challenge = this.#challenge
    const authorization = parseAuthorization(request.authorization)
    if (authorization.kind === 'bearer')
      throw unauthorized(
        'This registry takes a user name and a password, and no tokens of that kind.',
        challenge,
        { rule: provesNothing },
      )
    const identity = await identityOf(authorization, request, this.#logins, challenge, options)
    if (identity === null && wanted.length === 0)
      throw unauthorized('This registry wants to know who you are; log in.', challenge)

    const caller = await letIn(identity, this.#policy, wanted, options, (access, rule) =>
      identity === null
        ? unauthorized('Nobody is let in here without an account; log in.', challenge, { rule })
        : denied(identity.account, access, rule),
    )
    return { identity, caller }
  }
}

/** Says the same of what exists and of what does not. */
export function denied(account: string, access: Access, rule: string): DomainError {
  if (access.kind === 'catalog')
    return new DomainError('denied', `${account} may not list repositories here.`, {
      resource: 'registry',
      rule,
      account,
    })
  return new DomainError('denied', `${account} may not ${access.action} ${access.name}.`, {
    resource: 'repository',
    name: access.name,
    rule,
    account,
  })
}
