import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import { type ChangeMark, KeptValues } from './kept-values.ts'
import type { Schema } from './schema.ts'

/** Reads, as {@link Database.read} does. */
export type Read = <Result>(
  options: Abortable | undefined,
  work: (db: Kysely<Schema>) => Promise<Result>,
) => Promise<Result>

/**
 * What was read, for as long as the database's mark is the same: so it is never out of date, and who asks the same for each
 * of many requests asks the database once.
 */
export class Unchanged<Value extends object> {
  readonly #read: Read
  readonly #kept: KeptValues<Value>

  constructor(read: Read, markOf: ChangeMark) {
    this.#read = read
    this.#kept = new KeptValues(markOf)
  }

  /** @param key what `work` asks for. It is shared with all who ask for the same, and not to be changed. */
  async of(
    key: string,
    options: Abortable | undefined,
    work: (db: Kysely<Schema>) => Promise<Value>,
  ): Promise<Value> {
    options?.signal?.throwIfAborted()
    const mark = this.#kept.mark()
    if (mark === undefined) return await this.#read(options, work)
    const known = this.#kept.find(key)
    if (known !== undefined) return known
    const value = await this.#read(options, work)
    this.#kept.keep(key, value, mark)
    return value
  }
}
