import { randomBytes } from 'node:crypto'
import {
  type AccountName,
  parseAccountName,
  parseTenantName,
  type TenantName,
} from '../../src/storage/accounts/names.ts'
import type { NewCredential } from '../../src/storage/metadata/account-records.ts'

/** Names that no other test uses. */
export function freshTenant(): TenantName {
  return parseTenantName(`tenant-${random()}`)
}

export function freshUser(): AccountName {
  return parseAccountName(`user-${random()}`)
}

export function robotOf(tenant: TenantName, name = 'ci'): AccountName {
  return parseAccountName(`${tenant}+${name}`)
}

export function newCredential(account: AccountName, change?: Partial<NewCredential>): NewCredential {
  return { id: random(), kind: 'token', account, secretDigest: randomBytes(32).toString('hex'), ...change }
}

function random(): string {
  return randomBytes(8).toString('hex')
}
