import { type Kysely, sql, type Transaction } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Schema } from './schema.ts'

/** A query builder with what every query needs: a look at the signal, and failures turned into DomainErrors. */
export class Database {
  readonly #kysely: Kysely<Schema>
  readonly #convert: (error: unknown) => unknown

  constructor(kysely: Kysely<Schema>, convert: (error: unknown) => unknown) {
    this.#kysely = kysely
    this.#convert = convert
  }

  /** For single statements that only read. */
  async read<Result>(
    options: Abortable | undefined,
    work: (db: Kysely<Schema>) => Promise<Result>,
  ): Promise<Result> {
    options?.signal?.throwIfAborted()
    return this.#converted(() => work(this.#kysely))
  }

  /** One transaction: everything in `work` happens, or nothing. */
  async write<Result>(
    options: Abortable | undefined,
    work: (db: Transaction<Schema>) => Promise<Result>,
  ): Promise<Result> {
    options?.signal?.throwIfAborted()
    return this.#converted(() =>
      this.#kysely.transaction().execute(async transaction => {
        // It may have waited for others.
        options?.signal?.throwIfAborted()
        return work(transaction)
      }),
    )
  }

  async ping(options?: Abortable): Promise<void> {
    await this.read(options, db => sql`select 1`.execute(db))
  }

  async close(): Promise<void> {
    await this.#kysely.destroy()
  }

  async #converted<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw this.#convert(error)
    }
  }
}
