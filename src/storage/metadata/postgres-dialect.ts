import {
  CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  sql,
} from 'kysely'
import { asCommitFailure } from './postgres-errors.ts'

/** How long a transaction waits for a row that another one has locked. */
const lockTimeoutMs = 10_000
/** How long one that does nothing keeps its locks: for replicas that lose their power or their network. */
const idleTimeoutMs = 30_000

/** Kysely's PostgreSQL dialect, with transactions that say how long they may take and how they ended. */
export class ReadCommittedDialect extends PostgresDialect {
  readonly #pool: PostgresPool
  readonly #statementTimeoutMs: number

  constructor(pool: PostgresPool, statementTimeoutMs: number) {
    super({ pool })
    this.#pool = pool
    this.#statementTimeoutMs = statementTimeoutMs
  }

  override createDriver(): Driver {
    return new ReadCommittedDriver(this.#pool, this.#statementTimeoutMs)
  }
}

/** For changes of the schema, whose transactions take as long as they need. */
export class MigrationDialect extends PostgresDialect {
  readonly #pool: PostgresPool

  constructor(pool: PostgresPool) {
    super({ pool })
    this.#pool = pool
  }

  override createAdapter(): DialectAdapter {
    return new MigrationAdapter()
  }

  override createDriver(): Driver {
    return new MigrationDriver({ pool: this.#pool })
  }
}

/** The number that Kysely locks, and so every earlier version, too. */
const migrationLock = '3853314791062309107'

/**
 * Locks for a transaction where Kysely locks for a session: a pooler that shares sessions would have one connection lock
 * and another one unlock, so that the lock stayed for as long as the first one lived.
 */
class MigrationAdapter extends PostgresAdapter {
  override async acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`select pg_advisory_xact_lock(${sql.lit(migrationLock)}::bigint)`.execute(db)
  }

  /** The end of the transaction does. */
  override async releaseMigrationLock(): Promise<void> {}
}

class MigrationDriver extends PostgresDriver {
  /** What those have done who held the lock before is seen by READ COMMITTED only. */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin isolation level read committed'))
  }
}

class ReadCommittedDriver extends PostgresDriver {
  readonly #begin: CompiledQuery

  constructor(pool: PostgresPool, statementTimeoutMs: number) {
    super({ pool })
    // One round trip. Set for each transaction, not for the session: poolers such as pgbouncer share sessions.
    this.#begin = CompiledQuery.raw(
      [
        'begin isolation level read committed',
        `set local statement_timeout = ${statementTimeoutMs}`,
        `set local lock_timeout = ${lockTimeoutMs}`,
        `set local idle_in_transaction_session_timeout = ${idleTimeoutMs}`,
      ].join('; '),
    )
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(this.#begin)
  }

  override async commitTransaction(connection: PostgresConnection): Promise<void> {
    try {
      await super.commitTransaction(connection)
    } catch (error) {
      throw asCommitFailure(error)
    }
  }

  /** When it fails the connection is dropped, and so the server rolls back. What happened before says more. */
  override async rollbackTransaction(connection: PostgresConnection): Promise<void> {
    await super.rollbackTransaction(connection).catch(() => undefined)
  }
}

type PostgresConnection = Parameters<PostgresDriver['rollbackTransaction']>[0]
