import { type Kysely, sql } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

/** Who did what. */
export async function audit(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const { schema } = db
  await schema
    .createTable('audit')
    .addColumn('id', types.counter, column => column.primaryKey())
    .addColumn('at', types.integer, column => column.notNull())
    .addColumn('account', types.text)
    .addColumn('claimed', types.text)
    .addColumn('credential', types.text)
    .addColumn('operation', types.text, column => column.notNull())
    .addColumn('target', types.text)
    // Of a target that is a repository.
    .addColumn('tenant', types.text)
    .addColumn('reference', types.text)
    .addColumn('outcome', types.text, column => column.notNull())
    .addColumn('rule', types.text)
    .addColumn('status', types.integer)
    .addColumn('address', types.text, column => column.notNull())
    .addColumn('user_agent', types.text, column => column.notNull())
    .addColumn('request_id', types.text, column => column.notNull())
    .execute()
  await schema.createIndex('audit_by_time').on('audit').columns(['at', 'id']).execute()
  for (const column of ['account', 'target', 'tenant', 'operation', 'outcome'] as const)
    await schema
      .createIndex(`audit_by_${column}`)
      .on('audit')
      .columns([column, 'at', 'id'])
      .where(sql.ref(column), 'is not', null)
      .execute()

  // While a row is in it, entries from before may be deleted: only the sweep puts one there, within its transaction.
  await schema
    .createTable('audit_sweeps')
    .addColumn('before', types.integer, column => column.notNull())
    .execute()
  await (types.engine === 'sqlite' ? sqliteTriggers(db) : postgresTriggers(db))
}

const refusal = 'the audit log is only ever added to'

async function sqliteTriggers(db: Kysely<unknown>): Promise<void> {
  const refuse = sql`begin select raise(abort, ${sql.lit(refusal)}); end`
  await sql`create trigger audit_unchanged before update on audit ${refuse}`.execute(db)
  await sql`create trigger audit_kept before delete on audit
    when not exists (select 1 from audit_sweeps where "before" > old.at) ${refuse}`.execute(db)
  // `insert or replace` deletes without asking the trigger for that.
  await sql`create trigger audit_not_replaced before insert on audit
    when exists (select 1 from audit where id = new.id) ${refuse}`.execute(db)
}

async function postgresTriggers(db: Kysely<unknown>): Promise<void> {
  const raise = sql`raise exception using message = ${sql.lit(refusal)}`
  await sql`create function varve_refuse_audit_change() returns trigger language plpgsql as $$
    begin ${raise}; end $$`.execute(db)
  await sql`create function varve_keep_audit() returns trigger language plpgsql as $$
    begin
      if not exists (select 1 from audit_sweeps where "before" > old.at) then ${raise}; end if;
      return old;
    end $$`.execute(db)
  await sql`create trigger audit_unchanged before update on audit
    for each row execute function varve_refuse_audit_change()`.execute(db)
  await sql`create trigger audit_kept before delete on audit
    for each row execute function varve_keep_audit()`.execute(db)
  // Takes all rows at once, and asks no row's trigger.
  await sql`create trigger audit_not_emptied before truncate on audit
    for each statement execute function varve_refuse_audit_change()`.execute(db)
}
