import { LRUCache } from 'lru-cache'
import type { Kysely } from 'kysely'
import type { Abortable } from '../abortable.ts'
import type { Schema } from './schema.ts'

/**
 * Another text whenever anything in the database may have become another, by whichever process. Undefined where the
 * database cannot say that for less than a query costs.
 */
export type ChangeMark = () => string | undefined

/** Entries of one kind of question. */
const capacity = 10_000

/** Reads, as {@link Database.read} does. */
export type Read = <Result>(
  options: Abortable | undefined,
  work: (db: Kysely<Schema>) => Promise<Result>,
) => Promise<Result>

/**
 * What was read, for as long as nothing in the whole database has changed: so it is never out of date, and who asks the
 * same for each of many requests that only read asks the database once.
 */
export class Unchanged<Value extends object> {
  readonly #read: Read
  readonly #markOf: ChangeMark
  readonly #values = new LRUCache<string, Value>({ max: capacity })
  #mark: string | undefined

  constructor(read: Read, markOf: ChangeMark) {
    this.#read = read
    this.#markOf = markOf
  }

  /** @param key what `work` asks for. It is shared with all who ask for the same, and not to be changed. */
  async of(
    key: string,
    options: Abortable | undefined,
    work: (db: Kysely<Schema>) => Promise<Value>,
  ): Promise<Value> {
    options?.signal?.throwIfAborted()
    // Before the reading: what changes meanwhile makes another mark, with which nothing of before is found.
    const mark = this.#markOf()
    if (mark === undefined) return await this.#read(options, work)
    if (mark !== this.#mark) {
      this.#mark = mark
      this.#values.clear()
    }
    const known = this.#values.get(key)
    if (known !== undefined) return known
    const value = await this.#read(options, work)
    if (mark === this.#mark) this.#values.set(key, value)
    return value
  }
}
