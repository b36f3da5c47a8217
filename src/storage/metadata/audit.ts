import type { Kysely, SelectQueryBuilder } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { AuditEntry, AuditQuery, AuditRecords, NewAuditEntry } from './audit-records.ts'
import { toAuditEntry, toAuditRow } from './audit-row.ts'
import type { Database } from './database.ts'
import type { Schema } from './schema.ts'
import { assertStorable, isStorable } from './storable-text.ts'

/** Rows of one statement: each has 14 values, of which PostgreSQL takes 65,535 and SQLite 32,766. */
const rowsPerStatement = 500

export class KyselyAudit implements AuditRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async addAuditEntries(entries: readonly NewAuditEntry[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    if (entries.length === 0) return
    for (const { at: _, status: _status, ...texts } of entries)
      assertStorable({ resource: 'request', name: texts.operation }, ...Object.values(texts))
    const rows = entries.map(toAuditRow)
    await this.#database.write(options, async db => {
      for (let start = 0; start < rows.length; start += rowsPerStatement)
        await db
          .insertInto('audit')
          .values(rows.slice(start, start + rowsPerStatement))
          .execute()
    })
  }

  async listAudit(query: AuditQuery, options?: Abortable): Promise<AuditEntry[]> {
    options?.signal?.throwIfAborted()
    const { account = '', target = '', operation = '' } = query
    if (![account, target, operation].every(isStorable)) return []
    return this.#database.read(options, async db => {
      let rows = selected(db, query)
      if (query.before !== undefined) {
        const last = await db
          .selectFrom('audit')
          .select(['at', 'id'])
          .where('id', '=', query.before)
          .executeTakeFirst()
        // It has become too old, and so have all that are older.
        if (last === undefined) return []
        rows = rows.where(eb => eb(eb.refTuple('at', 'id'), '<', eb.tuple(last.at, last.id)))
      }
      const found = await rows
        .selectAll()
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(query.limit)
        .execute()
      return found.map(toAuditEntry)
    })
  }

  async deleteAuditBefore(before: Date, limit: number, options?: Abortable): Promise<number> {
    const time = before.getTime()
    return this.#database.write(options, async db => {
      await db.insertInto('audit_sweeps').values({ before: time }).execute()
      const old = db.selectFrom('audit').select('id').where('at', '<', time).orderBy('at').limit(limit)
      const { numDeletedRows } = await db.deleteFrom('audit').where('id', 'in', old).executeTakeFirstOrThrow()
      await db.deleteFrom('audit_sweeps').execute()
      return Number(numDeletedRows)
    })
  }
}

function selected(
  db: Kysely<Schema>,
  { since, until, account, target, operation, outcome }: AuditQuery,
): SelectQueryBuilder<Schema, 'audit', object> {
  let rows = db.selectFrom('audit')
  if (since !== undefined) rows = rows.where('at', '>=', since.getTime())
  if (until !== undefined) rows = rows.where('at', '<', until.getTime())
  if (account !== undefined) rows = rows.where('account', '=', account)
  if (operation !== undefined) rows = rows.where('operation', '=', operation)
  if (outcome !== undefined) rows = rows.where('outcome', '=', outcome)
  if (target === undefined) return rows
  if (!target.endsWith('/**')) return rows.where('target', '=', target)
  const prefix = target.slice(0, -'/**'.length)
  const tenant = prefix.split('/', 1)[0] ?? ''
  rows = rows.where('tenant', '=', tenant)
  // In byte order '0' comes next after '/'.
  return prefix === tenant
    ? rows
    : rows.where('target', '>=', `${prefix}/`).where('target', '<', `${prefix}0`)
}
