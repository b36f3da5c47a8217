import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type QueryCompiler,
  type SelectModifierNode,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  SqliteQueryCompiler,
  type SqliteStatement,
} from 'kysely'
import { LRUCache } from 'lru-cache'
import { changesWhatIsKept } from './kept-changes.ts'
import { whileBusy } from './sqlite-busy.ts'

/** Statements that were run. */
interface Counted {
  changes: number
}

/** Kysely's SQLite dialect on `node:sqlite` instead of a native addon. */
export class NodeSqliteDialect extends SqliteDialect {
  readonly #database: DatabaseSync
  readonly #adapted: SqliteDatabase
  readonly #counted: Counted

  constructor(database: DatabaseSync) {
    const counted: Counted = { changes: 0 }
    const adapted = adaptDatabase(database, counted)
    super({ database: adapted })
    this.#database = database
    this.#adapted = adapted
    this.#counted = counted
  }

  /** How many statements that may have changed what values are kept of have been run here, be it committed or not. */
  get changes(): number {
    return this.#counted.changes
  }

  override createDriver(): Driver {
    return new ImmediateDriver(this.#adapted, () => this.#database.isTransaction)
  }

  override createAdapter(): DialectAdapter {
    return new TransactionalAdapter()
  }

  override createQueryCompiler(): QueryCompiler {
    return new LocklessCompiler()
  }
}

/** Leaves `for update` and the like out. SQLite does not know them, and has one writer at a time anyhow. */
class LocklessCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === undefined || !node.modifier.startsWith('For')) super.visitSelectModifier(node)
  }
}

/**
 * Takes the write lock when a transaction begins. One that begins as a reader and writes later fails at once when
 * another process has written in between, however patient it is: sqlite.org/lang_transaction.html.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #isInTransaction: () => boolean

  constructor(database: SqliteDatabase, isInTransaction: () => boolean) {
    super({ database })
    this.#isInTransaction = isInTransaction
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    return patient(await super.acquireConnection())
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  /**
   * A full disk and other failures roll back by themselves. To roll back once more is an error, which would take the
   * place of the one that tells what happened.
   */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#isInTransaction()) await super.rollbackTransaction(connection)
  }
}

/** A statement that finds the database locked has done nothing, so it can be tried again. */
function patient(connection: DatabaseConnection): DatabaseConnection {
  return {
    executeQuery: (query, options) => whileBusy(() => connection.executeQuery(query, options)),
    streamQuery: (query, chunkSize, options) => connection.streamQuery(query, chunkSize, options),
  }
}

/** SQLite rolls schema changes back like any other, so a migration that breaks off leaves nothing half-made. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** Statements kept ready: more than there are different queries, fewer than lists of any length could make. */
const keptStatements = 200

/**
 * Kysely prepares each query anew, and preparing costs more than running one that finds its row by a key. SQLite
 * prepares a kept statement again by itself when the schema has changed (sqlite.org/c3ref/prepare.html).
 */
function adaptDatabase(database: DatabaseSync, counted: Counted): SqliteDatabase {
  const kept = new LRUCache<string, SqliteStatement>({ max: keptStatements })
  return {
    prepare: sql => {
      const known = kept.get(sql)
      if (known !== undefined) return known
      const statement = adaptStatement(database, sql, counted)
      kept.set(sql, statement)
      return statement
    },
    close: () => database.close(),
  }
}

function adaptStatement(database: DatabaseSync, sql: string, counted: Counted): SqliteStatement {
  const statement = database.prepare(sql)
  const adapted: SqliteStatement = {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...bound(parameters)),
    run: parameters => statement.run(...bound(parameters)),
    // An iteration may still run when the next begins, so each has a statement of its own.
    iterate: parameters => database.prepare(sql).iterate(...bound(parameters)),
  }
  return changesWhatIsKept(sql) ? counting(adapted, counted) : adapted
}

/** Counts when the statement has been run, for whoever looks while it waits must not take what was before for what is after. */
function counting(statement: SqliteStatement, counted: Counted): SqliteStatement {
  const afterwards = <Result>(work: () => Result): Result => {
    try {
      return work()
    } finally {
      counted.changes += 1
    }
  }
  return {
    reader: statement.reader,
    all: parameters => afterwards(() => statement.all(parameters)),
    run: parameters => afterwards(() => statement.run(parameters)),
    iterate: parameters => afterwards(() => statement.all(parameters))[Symbol.iterator](),
  }
}

/** Kysely types no parameter; the column types of `schema.ts` hold only values that SQLite takes. */
function bound(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters as SQLInputValue[]
}
