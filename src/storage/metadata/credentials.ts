import type { Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { AccountName } from '../accounts/names.ts'
import {
  type AddCredentialOptions,
  type Credential,
  type CredentialRecords,
  type CredentialUse,
  maxListedCredentials,
  type NewCredential,
  rememberedMs,
  type StoredCredential,
} from './account-records.ts'
import { batches } from './batches.ts'
import { newRow, toCredential, toStoredCredential } from './credential-row.ts'
import { noteUses } from './credential-uses.ts'
import type { Database } from './database.ts'
import type { PreparedQuery } from './prepared.ts'
import type { CredentialRow } from './rows/accounts.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'

/** Old credentials that one transaction forgets, so that others need not wait long. */
const forgottenAtOnce = 500

export class KyselyCredentials implements CredentialRecords {
  readonly #database: Database
  readonly #now: () => number
  readonly #byId: PreparedQuery<{ id: string }, CredentialRow>

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
    this.#byId = database.prepare((db, placeholder) =>
      db.selectFrom('credentials').selectAll().where('id', '=', placeholder('id')),
    )
  }

  async addCredential(credential: NewCredential, options?: AddCredentialOptions): Promise<Credential> {
    const wanted = newRow(credential, this.#now())
    return this.#database.write(options, async db => {
      const isLate = wanted.parent !== null && !(await keepUnrevoked(db, wanted.parent))
      const row = { ...wanted, revoked_at: isLate ? wanted.created_at : null }
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('credentials')
        .values(row)
        .onConflict(conflict => conflict.column('id').doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n)
        throw new DomainError('already_exists', `There is a credential ${row.id} already.`, {
          resource: 'credential',
          name: row.id,
        })
      if (options?.keep !== undefined) await forgetUnused(db, row, options.keep)
      return toCredential(row)
    })
  }

  async findCredential(id: string, options?: Abortable): Promise<StoredCredential | undefined> {
    options?.signal?.throwIfAborted()
    if (!isStorable(id)) return undefined
    const row = await this.#database.read(options, db => this.#byId.takeFirst(db, { id }))
    return row && toStoredCredential(row)
  }

  async listCredentials(
    account: AccountName,
    kind: Credential['kind'],
    options?: Abortable,
  ): Promise<Credential[]> {
    const before = this.#now() - rememberedMs
    const rows = await this.#database.read(options, db =>
      db
        .selectFrom('credentials')
        .selectAll()
        .where('account', '=', account)
        .where('kind', '=', kind)
        .where(row => row.or([row('expires_at', 'is', null), row('expires_at', '>=', before)]))
        .where(row => row.or([row('revoked_at', 'is', null), row('revoked_at', '>=', before)]))
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(maxListedCredentials)
        .execute(),
    )
    return rows.map(toCredential)
  }

  async revokeCredential(account: AccountName, id: string, options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    const isThere =
      isStorable(id) &&
      (await this.#database.write(options, async db => {
        const now = this.#now()
        const revoked = await db
          .updateTable('credentials')
          .set(row => ({ revoked_at: row.fn.coalesce('revoked_at', row.val(now)) }))
          .where('id', '=', id)
          .where('account', '=', account)
          .returning('id')
          .executeTakeFirst()
        if (revoked === undefined) return false
        await revokeChildren(db, [id], now)
        return true
      }))
    if (!isThere)
      throw new DomainError('not_found', `The account ${account} has no credential of this id.`, {
        resource: 'credential',
        name: id,
      })
  }

  async noteUses(uses: readonly CredentialUse[], options?: Abortable): Promise<void> {
    await noteUses(this.#database, uses, options)
  }

  async deleteOldCredentials(before: Date, options?: Abortable): Promise<number> {
    for (let count = 0; ; ) {
      const forgotten = await this.#database.write(options, db => forgetEnded(db, before.getTime()))
      count += forgotten.all
      if (forgotten.ended < forgottenAtOnce) return count
    }
  }
}

/** Whether the credential is there and not revoked; if so, who wants to revoke it waits for the transaction. */
async function keepUnrevoked(db: Transaction<Schema>, id: string): Promise<boolean> {
  const row = await db
    .selectFrom('credentials')
    .select('revoked_at')
    .where('id', '=', id)
    .forShare()
    .executeTakeFirst()
  return row !== undefined && row.revoked_at === null
}

/**
 * And theirs, and so on: one generation after the other, so that who is adding a child to one of them is waited for
 * before its own children are looked for.
 */
async function revokeChildren(
  db: Transaction<Schema>,
  parents: readonly string[],
  now: number,
): Promise<void> {
  for (let generation = parents; generation.length > 0; ) {
    const children: string[] = []
    for (const batch of batches(generation)) {
      const revoked = await db
        .updateTable('credentials')
        .set({ revoked_at: now })
        .where('parent', 'in', batch)
        .where('revoked_at', 'is', null)
        .returning('id')
        .execute()
      children.push(...revoked.map(({ id }) => id))
    }
    generation = children
  }
}

/** Of the same account and kind, all but the one that was just added and those that were used, or made, last. */
async function forgetUnused(
  db: Transaction<Schema>,
  { id, account, kind }: Pick<CredentialRow, 'id' | 'account' | 'kind'>,
  keep: number,
): Promise<void> {
  await db
    .deleteFrom('credentials')
    .where('id', 'in', rows =>
      rows
        .selectFrom('credentials')
        .select('id')
        .where('account', '=', account)
        .where('kind', '=', kind)
        .where('id', '!=', id)
        .orderBy(row => row.fn.coalesce('last_used_at', 'created_at'), 'desc')
        .orderBy('id')
        .limit(forgottenAtOnce)
        .offset(Math.max(keep - 1, 0)),
    )
    .execute()
}

async function forgetEnded(
  db: Transaction<Schema>,
  before: number,
): Promise<{ readonly ended: number; readonly all: number }> {
  const ended = await db
    .deleteFrom('credentials')
    .where('id', 'in', rows =>
      rows
        .selectFrom('credentials')
        .select('id')
        .where(row => row.or([row('expires_at', '<', before), row('revoked_at', '<', before)]))
        .limit(forgottenAtOnce),
    )
    .returning('id')
    .execute()
  let all = ended.length
  for (let generation = ended; generation.length > 0; all += generation.length) {
    const parents = generation.map(({ id }) => id)
    generation = []
    for (const batch of batches(parents))
      generation.push(
        ...(await db.deleteFrom('credentials').where('parent', 'in', batch).returning('id').execute()),
      )
  }
  return { ended: ended.length, all }
}
