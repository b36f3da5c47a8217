import { sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import type {
  Account,
  AccountChange,
  AccountPage,
  AccountRecords,
  AccountWithPassword,
  NewAccount,
} from './account-records.ts'
import { changedColumns, newRow, toAccount, toAccountWithPassword } from './account-row.ts'
import { batches } from './batches.ts'
import type { Database } from './database.ts'
import { keepTenant } from './keep-tenant.ts'
import type { PreparedQuery } from './prepared.ts'
import type { AccountRow } from './rows/accounts.ts'
import type { Schema } from './schema.ts'
import { storablePrefix } from './storable-text.ts'
import type { Unchanged } from './unchanged.ts'

export class KyselyAccounts implements AccountRecords {
  readonly #database: Database
  readonly #now: () => number
  readonly #byName: PreparedQuery<{ name: AccountName }, AccountRow>
  readonly #known: Unchanged<{ readonly account: AccountWithPassword | undefined }>

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
    this.#known = database.unchanged()
    this.#byName = database.prepare((db, placeholder) =>
      db.selectFrom('accounts').selectAll().where('name', '=', placeholder('name')),
    )
  }

  async createAccount(account: NewAccount, options?: Abortable): Promise<Account> {
    const row = newRow(account, this.#now())
    const { name, tenant } = row
    await this.#database.write(options, async db => {
      if (tenant !== null) await keepTenant(db, tenant)
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('accounts')
        .values(row)
        .onConflict(conflict => conflict.column('name').doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n)
        throw new DomainError('already_exists', `There is an account ${name} already.`, {
          resource: 'account',
          name,
        })
      await db.deleteFrom('credentials').where('account', '=', name).execute()
    })
    return toAccount(row)
  }

  async getAccount(name: AccountName, options?: Abortable): Promise<Account> {
    const row = await this.#database.read(options, db => this.#byName.takeFirst(db, { name }))
    if (row === undefined) throw unknownAccount(name)
    return toAccount(row)
  }

  async findAccount(name: AccountName, options?: Abortable): Promise<AccountWithPassword | undefined> {
    const { account } = await this.#known.of(name, options, async db => {
      const row = await this.#byName.takeFirst(db, { name })
      return { account: row && toAccountWithPassword(row) }
    })
    return account
  }

  async listAccounts(
    { limit, after = '', kind, tenant }: AccountPage,
    options?: Abortable,
  ): Promise<Account[]> {
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('accounts')
        .selectAll()
        .where(sql<boolean>`name > ${storablePrefix(after)}`)
        .$if(kind !== undefined, query => query.where('kind', '=', kind ?? 'user'))
        .$if(tenant !== undefined, query => query.where('tenant', '=', tenant ?? null))
        .orderBy('name')
        .limit(limit)
        .execute(),
    )
    return rows.map(toAccount)
  }

  async updateAccount(name: AccountName, change: AccountChange, options?: Abortable): Promise<Account> {
    const columns = changedColumns(name, change)
    if (Object.keys(columns).length === 0) return this.getAccount(name, options)
    const row = await this.#database.write(options, async db => {
      const changed = await db
        .updateTable('accounts')
        .set(columns)
        .where('name', '=', name)
        .returningAll()
        .executeTakeFirst()
      if (changed !== undefined && change.passwordHash !== undefined)
        await db
          .updateTable('credentials')
          .set({ revoked_at: this.#now() })
          .where('account', '=', name)
          .where('kind', '=', 'refresh')
          .where('revoked_at', 'is', null)
          .execute()
      return changed
    })
    if (row === undefined) throw unknownAccount(name)
    return toAccount(row)
  }

  async rehashPassword(name: AccountName, from: string, to: string, options?: Abortable): Promise<void> {
    const columns = changedColumns(name, { passwordHash: to })
    await this.#database.write(options, db =>
      db
        .updateTable('accounts')
        .set(columns)
        .where('name', '=', name)
        .where('password_hash', '=', from)
        .execute(),
    )
  }

  async deleteAccount(name: AccountName, options?: Abortable): Promise<void> {
    await this.#database.write(options, async db => {
      if ((await forgetAccounts(db, [name])) === 0) throw unknownAccount(name)
    })
  }
}

/** Removes accounts with all that is theirs. Answers how many there were. */
export async function forgetAccounts(
  db: Transaction<Schema>,
  names: readonly AccountName[],
): Promise<number> {
  let count = 0
  for (const batch of batches(names)) {
    const { numDeletedRows } = await db
      .deleteFrom('accounts')
      .where('name', 'in', batch)
      .executeTakeFirstOrThrow()
    count += Number(numDeletedRows)
    await db.deleteFrom('tenant_members').where('account', 'in', batch).execute()
    await db.deleteFrom('grants').where('subject', 'in', batch).execute()
    await db.deleteFrom('credentials').where('account', 'in', batch).execute()
  }
  return count
}

function unknownAccount(name: AccountName): DomainError {
  return new DomainError('not_found', `There is no account ${name}.`, { resource: 'account', name })
}
