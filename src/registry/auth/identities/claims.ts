import { type AccountName, accountKindOf, type TenantName } from '../../../storage/accounts/names.ts'
import { type Role, roles as byRank } from '../../../storage/accounts/roles.ts'
import { namePattern } from '../../../storage/name-pattern.ts'
import type { ClaimPatterns, ClaimRules } from './provider-options.ts'

/** What a provider has signed. */
export type Claims = Readonly<Record<string, unknown>>

/** Whom claims stand for, or in a few words why for nobody. */
export type Claimed =
  | {
      readonly account: AccountName
      /** Each tenant once, with the highest role. */
      readonly memberships: readonly { readonly tenant: TenantName; readonly role: Role }[]
    }
  | { readonly problem: string }

/** Characters of a value and values of a list that are looked at. */
const maxValue = 1024
const maxValues = 1000

export function claimedBy(claims: Claims, { name, accountClaim, require, roles }: ClaimRules): Claimed {
  const missing = Object.entries(require).find(([claim, pattern]) => !fits(claims, claim, pattern))
  if (missing !== undefined) return { problem: `its claim ${missing[0]} is not what is required` }
  const [value, ...others] = valuesOf(claims, accountClaim)
  if (value === undefined || others.length > 0)
    return { problem: `its claim ${accountClaim} is not one text that can be an account's name` }
  const account = `${name}/${value}`
  if (!isFederated(account))
    return { problem: `its claim ${accountClaim} has characters that an account's name cannot have` }
  const memberships = new Map<TenantName, Role>()
  for (const { tenant, role, when } of roles) {
    const higher = byRank.indexOf(role) > byRank.indexOf(memberships.get(tenant) ?? role)
    if (fitsAll(claims, when) && (higher || !memberships.has(tenant))) memberships.set(tenant, role)
  }
  return { account, memberships: [...memberships].map(([tenant, role]) => ({ tenant, role })) }
}

function fitsAll(claims: Claims, patterns: ClaimPatterns): boolean {
  return Object.entries(patterns).every(([claim, pattern]) => fits(claims, claim, pattern))
}

function fits(claims: Claims, claim: string, pattern: string): boolean {
  const expression = namePattern(pattern)
  return valuesOf(claims, claim).some(value => expression.test(value))
}

/** Of a list all, of what is no plain value none. */
function valuesOf(claims: Claims, claim: string): string[] {
  if (!Object.hasOwn(claims, claim)) return []
  const value = claims[claim]
  const values: unknown[] = Array.isArray(value) ? value.slice(0, maxValues) : [value]
  return values
    .filter(item => typeof item === 'string' || typeof item === 'number' || typeof item === 'boolean')
    .map(String)
    .filter(text => text.length <= maxValue)
}

function isFederated(name: string): name is AccountName {
  return accountKindOf(name) === 'federated'
}
