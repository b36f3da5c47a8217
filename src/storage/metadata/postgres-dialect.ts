import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
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
