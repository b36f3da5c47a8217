import type { PostgresPool as Pool, PostgresCursor, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import pg from 'pg'
import { endsSession, NotConnected } from './postgres-errors.ts'

export interface PostgresPoolSettings {
  readonly url: string
  /** Connections at most. */
  readonly size: number
  readonly connectTimeoutMs: number
  /** Unlimited unless given. */
  readonly queryTimeoutMs?: number | undefined
}

/** pg's pool, so that a connection that breaks, at whatever moment, ends neither the process nor another's query. */
export class PostgresPool implements Pool {
  /** Kysely wants them for connections that cancel queries, of which there are none. */
  readonly options = {}
  readonly #pool: pg.Pool

  constructor({ url, size, connectTimeoutMs, queryTimeoutMs }: PostgresPoolSettings) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: size,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      fallback_application_name: 'varve',
      types,
    })
    // A connection that breaks says so by an event as well, which ends the process when nobody listens: while it is
    // idle through the pool, which has dropped it already; while it is used by itself, and there its query fails, too.
    this.#pool.on('error', () => {})
    this.#pool.on('connect', client => client.on('error', () => {}))
  }

  async connect(): Promise<PostgresPoolClient> {
    try {
      return new Loan(await this.#pool.connect())
    } catch (cause) {
      throw new NotConnected(cause)
    }
  }

  async end(): Promise<void> {
    await this.#pool.end()
  }
}

/** A connection from the pool, which does not go back there when it is not to be used any more. */
class Loan implements PostgresPoolClient {
  readonly #client: PostgresPoolClient
  #end: { readonly reason: unknown } | undefined
  #lastFailure: unknown

  constructor(client: PostgresPoolClient) {
    this.#client = client
  }

  query<Row>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<Row>>
  query<Row>(cursor: PostgresCursor<Row>): PostgresCursor<Row>
  query<Row>(query: string | PostgresCursor<Row>, parameters: readonly unknown[] = []) {
    if (typeof query !== 'string') return this.#client.query(query)
    return this.#query<Row>(query, parameters)
  }

  release(destroy = false): void {
    this.#client.release(destroy || this.#end !== undefined)
  }

  async #query<Row>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<Row>> {
    // One that has timed out would let the rollback wait as long again.
    if (this.#end !== undefined) throw this.#end.reason
    try {
      return await this.#client.query<Row>(sql, parameters)
    } catch (reason) {
      if (endsSession(reason)) this.#end = { reason }
      // Says only that something has failed before.
      if (reason instanceof pg.DatabaseError && reason.code === inFailedTransaction) throw this.#lastFailure
      this.#lastFailure = reason
      throw reason
    }
  }
}

/** in_failed_sql_transaction. */
const inFailedTransaction = '25P02'

const types = new pg.TypeOverrides()
// 64-bit numbers are text otherwise.
types.setTypeParser(pg.types.builtins.INT8, 'text', parseInteger)

function parseInteger(text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} from the database is no safe integer`)
  return number
}
