import type { TenantName } from '../../../storage/accounts/names.ts'
import type { Role } from '../../../storage/accounts/roles.ts'

/** Names of claims with patterns (`storage/name-pattern.ts`) for their values. */
export type ClaimPatterns = Readonly<Record<string, string>>

/** What somebody with such claims is in a tenant. */
export interface ClaimedRole {
  readonly tenant: TenantName
  readonly role: Role
  /** All have to fit. */
  readonly when: ClaimPatterns
}

/** What claims mean. */
export interface ClaimRules {
  /** First part of the names of its accounts. */
  readonly name: string
  /** Claim that, after the name, is the account's name. */
  readonly accountClaim: string
  /** Without these nobody is let in. */
  readonly require: ClaimPatterns
  /** All that fit count. */
  readonly roles: readonly ClaimedRole[]
}

/** An OpenID provider, whose word about who somebody is counts. */
export interface OpenIdProviderOptions extends ClaimRules {
  /** `iss`, exactly. */
  readonly issuer: string
  /** One of them has to be in `aud`. */
  readonly audiences: readonly string[]
  /** Authorities that sign for it, beside the usual ones. PEM. */
  readonly ca?: string | undefined
  /** Us, as its client, for people with a browser. */
  readonly client?: OpenIdClient | undefined
}

export interface OpenIdClient {
  readonly clientId: string
  /** Undefined: a public client, for which PKCE alone has to do. */
  readonly clientSecret?: string | undefined
  /** `openid` is always asked for. */
  readonly scopes: readonly string[]
}
