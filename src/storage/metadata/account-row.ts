import { DomainError } from '../../errors.ts'
import { type AccountName, accountKindOf, parseTenantName, type TenantName } from '../accounts/names.ts'
import type { Account, AccountChange, AccountWithPassword, NewAccount } from './account-records.ts'
import type { AccountRow } from './rows/accounts.ts'
import type { Flag } from './rows/flag.ts'
import { assertStorable } from './storable-text.ts'

/** @throws DomainError `invalid`. */
export function newRow(account: NewAccount, now: number): AccountRow {
  const { name, kind } = account
  const tenant = kind === 'robot' ? robotTenant(name) : null
  if (accountKindOf(name) !== kind || (account.tenant ?? tenant) !== tenant)
    throw new DomainError(
      'invalid',
      `${name} cannot be the name of a ${kind}; a user's is like alice, a robot's like TENANT+ci.`,
      { resource: 'account', name },
    )
  return {
    name,
    kind,
    tenant,
    is_admin: 0,
    is_disabled: 0,
    description: '',
    password_hash: null,
    expires_at: null,
    ...changedColumns(name, account),
    created_at: now,
    last_used_at: null,
  }
}

type ChangeableColumns = Partial<
  Pick<AccountRow, 'is_admin' | 'is_disabled' | 'description' | 'password_hash' | 'expires_at'>
>

/** Of what is given. @throws DomainError `invalid`. */
export function changedColumns(name: AccountName, change: AccountChange): ChangeableColumns {
  const { isAdmin, isDisabled, description, expiresAt, passwordHash } = change
  assertStorable({ resource: 'account', name }, description, passwordHash)
  return {
    ...(isAdmin !== undefined && { is_admin: flag(isAdmin) }),
    ...(isDisabled !== undefined && { is_disabled: flag(isDisabled) }),
    ...(description !== undefined && { description }),
    ...(expiresAt !== undefined && { expires_at: expiresAt?.getTime() ?? null }),
    ...(passwordHash !== undefined && { password_hash: passwordHash }),
  }
}

export function toAccount(row: AccountRow): Account {
  return {
    name: row.name,
    kind: row.kind,
    tenant: row.tenant,
    isAdmin: row.is_admin === 1,
    isDisabled: row.is_disabled === 1,
    description: row.description,
    createdAt: new Date(row.created_at),
    expiresAt: dateOf(row.expires_at),
    lastUsedAt: dateOf(row.last_used_at),
  }
}

export function toAccountWithPassword(row: AccountRow): AccountWithPassword {
  return { ...toAccount(row), passwordHash: row.password_hash }
}

export function dateOf(time: number | null): Date | null {
  return time === null ? null : new Date(time)
}

function robotTenant(name: AccountName): TenantName {
  return parseTenantName(name.split('+', 1)[0] ?? '')
}

function flag(value: boolean): Flag {
  return value ? 1 : 0
}
