import { setImmediate } from 'node:timers/promises'
import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { actions } from '../../../storage/accounts/roles.ts'
import { parseRepositoryName, type RepositoryName } from '../../../storage/reference.ts'
import type { Access } from '../access.ts'
import type { AccessPolicy } from '../access-policy.ts'
import type { Identity } from '../identity.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import { mergeScopes, type ResourceScope } from './scope.ts'
import type { IssuedToken, TokenIssuer } from './token-issuer.ts'

export interface TokenServiceOptions {
  readonly policy: AccessPolicy
  readonly issuer: Pick<TokenIssuer, 'issue'>
  readonly refreshTokens: RefreshTokens
  /**
   * Other repositories that a client may mean that asks for this one: it asks for what it pulls by the name that it knows.
   * Whether it may pull those is decided about each by its own name. None unless given.
   */
  readonly alsoMeant?: ((name: RepositoryName) => readonly RepositoryName[]) | undefined
}

export interface GrantedToken extends IssuedToken {
  /** What it is good for, which may be less than what was asked for, or nothing. */
  readonly access: readonly ResourceScope[]
  /** Which rules allow that. */
  readonly rule: string
}

/** Gives access tokens to those who have proved who they are, and to nobody in particular. */
export class TokenService {
  readonly policy: AccessPolicy
  readonly refreshTokens: RefreshTokens
  readonly #issuer: Pick<TokenIssuer, 'issue'>
  readonly #alsoMeant: (name: RepositoryName) => readonly RepositoryName[]

  constructor({ policy, issuer, refreshTokens, alsoMeant = () => [] }: TokenServiceOptions) {
    this.policy = policy
    this.refreshTokens = refreshTokens
    this.#issuer = issuer
    this.#alsoMeant = alsoMeant
  }

  /**
   * A token for as much of the scopes as this identity may have. Too little right is no failure: clients find out when
   * they use it, and what exists plays no part.
   *
   * @param identity null: nobody in particular.
   * @throws DomainError `invalid` when the token would be too long, `unavailable`.
   */
  async grant(
    identity: Identity | null,
    scopes: readonly ResourceScope[],
    options: Abortable = {},
  ): Promise<GrantedToken> {
    const access: ResourceScope[] = []
    const pushable: string[] = []
    const rules = new Set<string>()
    for (const scope of this.#withMeant(scopes)) {
      const allowed = await this.#allowed(identity, scope, options)
      // Each may take some milliseconds, by patterns that were made for that; others come in between.
      await setImmediate(undefined, { signal: options.signal })
      if (allowed.length === 0) continue
      access.push({ ...scope, actions: allowed.map(({ action }) => action) })
      for (const { rule } of allowed) rules.add(rule)
      if (await this.#mayPushBesides(identity, scope, options)) pushable.push(scope.name)
    }
    const isListing = access.some(({ type }) => type === 'registry')
    const rule = sentenceOf([...rules], identity)
    const issued = await this.#issuer.issue(
      {
        account: identity?.account ?? null,
        isAdmin: identity !== null && this.policy.isAdmin(identity),
        rule,
        access,
        pushable,
        ...(identity !== null && isListing ? { subject: identity } : {}),
      },
      options,
    )
    return { ...issued, access, rule }
  }

  /** Only to pull: nobody can push to what is meant besides, so a client that wants to means what it says. */
  #withMeant(scopes: readonly ResourceScope[]): ResourceScope[] {
    const meant = scopes.flatMap(scope => {
      const name = scope.type === 'repository' ? repositoryIn(scope.name) : undefined
      const isPull = scope.actions.length === 1 && scope.actions[0] === 'pull'
      if (name === undefined || !isPull) return []
      return this.#alsoMeant(name).map(each => ({ ...scope, name: each }))
    })
    return mergeScopes([...scopes, ...meant])
  }

  /** Whether it might have had more than it asked for. */
  async #mayPushBesides(
    identity: Identity | null,
    scope: ResourceScope,
    options: Abortable,
  ): Promise<boolean> {
    if (scope.type !== 'repository' || scope.actions.some(action => action === 'push' || action === '*'))
      return false
    return (await this.#allowed(identity, { ...scope, actions: ['push'] }, options)).length > 0
  }

  async #allowed(identity: Identity | null, scope: ResourceScope, options: Abortable): Promise<Allowed[]> {
    const allowed: Allowed[] = []
    for (const [action, access] of accessesOf(scope)) {
      const { isAllowed, rule } = await this.policy.decide(identity, access, options)
      if (isAllowed) allowed.push({ action, rule })
    }
    return allowed
  }
}

interface Allowed {
  readonly action: string
  readonly rule: string
}

/** Characters of the rules in a token, which all of them make longer. */
const maxRules = 512

function sentenceOf(rules: readonly string[], identity: Identity | null): string {
  if (rules.length === 0) return identity === null ? 'nobody is known' : `${identity.account} is known`
  const sentence = rules.join('; ')
  return sentence.length > maxRules ? `${sentence.slice(0, maxRules - 1)}…` : sentence
}

/** What a scope asks for, of what there is here, by the name that it has in the token. `*` asks for everything. */
function accessesOf({ type, name, actions: wanted }: ResourceScope): [action: string, access: Access][] {
  if (type === 'registry')
    return name === 'catalog' && wanted.includes('*') ? [['*', { kind: 'catalog' }]] : []
  const repository = type === 'repository' ? repositoryIn(name) : undefined
  if (repository === undefined) return []
  return actions
    .filter(action => wanted.includes(action) || wanted.includes('*'))
    .map(action => [action, { kind: 'repository', name: repository, action }])
}

/** Undefined for what no repository here can be called. */
function repositoryIn(name: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(name)
  } catch (error) {
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}
