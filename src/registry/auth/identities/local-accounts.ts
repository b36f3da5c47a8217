import type { Abortable } from '../../../storage/abortable.ts'
import type { AccountName } from '../../../storage/accounts/names.ts'
import type { AccountRecords } from '../../../storage/metadata/account-records.ts'
import type { AccountSource, KnownAccount } from './known-accounts.ts'

/** Users and robots of the database. */
export class LocalAccounts implements AccountSource {
  readonly #records: Pick<AccountRecords, 'findAccount'>
  readonly #now: () => number

  /** @param now milliseconds since 1970. */
  constructor(records: Pick<AccountRecords, 'findAccount'>, now: () => number = Date.now) {
    this.#records = records
    this.#now = now
  }

  async find(name: AccountName, options?: Abortable): Promise<KnownAccount | undefined> {
    const account = await this.#records.findAccount(name, options)
    if (account === undefined) return undefined
    const { isAdmin, isDisabled, expiresAt, passwordHash } = account
    const unchangedUntil = expiresAt?.getTime() ?? Number.POSITIVE_INFINITY
    const isExpired = unchangedUntil <= this.#now()
    return { name, isAdmin, isActive: !isDisabled && !isExpired, passwordHash, unchangedUntil }
  }
}
