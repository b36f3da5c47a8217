import { DomainError } from '../../errors.ts'
import type { RepositoryName } from '../reference.ts'

/** The first path component of a repository's name. */
export type TenantName = string & { readonly __brand: 'TenantName' }

/**
 * Who somebody is, whatever proves it: `alice` (a user, of the database or of an htpasswd file), `acme+ci` (a robot of
 * the tenant acme), `github/octo-org/app` (a workload or a person that the OpenID provider `github` vouches for). The
 * three forms cannot be mistaken for each other, so no provider can give out another's names.
 */
export type AccountName = string & { readonly __brand: 'AccountName' }

const word = /[a-z0-9]+(?:[._-]+[a-z0-9]+)*/.source
const tenantPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const userPattern = new RegExp(`^${word}(?:@${word})?$`)
const robotPattern = new RegExp(`^${word}\\+${word}$`)
const federatedPattern = new RegExp(`^${word}(?:/[A-Za-z0-9@][A-Za-z0-9@._:-]*)+$`)

/** Characters. */
const maxAccountName = 255

/** @throws DomainError `invalid`. */
export function parseTenantName(text: string): TenantName {
  if (text.length > 128 || !tenantPattern.test(text))
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 140))} is not a tenant's name; it is the first part of a repository's name: lower-case letters, digits, and single . _ - between them.`,
      { resource: 'tenant', name: text.slice(0, 140) },
    )
  return text as TenantName
}

/** That of every repository; one without a slash is a tenant's own. */
export function tenantOf(repository: RepositoryName): TenantName {
  return (repository.split('/', 1)[0] ?? '') as TenantName
}

/** That of a robot; undefined for every other account. */
export function robotTenantOf(account: AccountName): TenantName | undefined {
  return accountKindOf(account) === 'robot' ? ((account.split('+', 1)[0] ?? '') as TenantName) : undefined
}

export type AccountKind = 'user' | 'robot' | 'federated'

/** @throws DomainError `invalid`. */
export function parseAccountName(text: string): AccountName {
  if (accountKindOf(text) === undefined)
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, maxAccountName))} is not an account's name; a user's is like alice or alice@example.com, a robot's like TENANT+ci, that of an OpenID provider's like PROVIDER/alice.`,
      { resource: 'account', name: text.slice(0, maxAccountName) },
    )
  return text as AccountName
}

/** Undefined for what is no account's name. */
export function accountKindOf(text: string): AccountKind | undefined {
  if (text.length > maxAccountName) return undefined
  if (userPattern.test(text)) return 'user'
  if (robotPattern.test(text)) return 'robot'
  return federatedPattern.test(text) ? 'federated' : undefined
}
