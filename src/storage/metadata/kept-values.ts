import { LRUCache } from 'lru-cache'

/**
 * Another text whenever anything in the database that values are kept of may have become another, by whichever process.
 * Undefined where the database cannot say that for less than a query costs.
 */
export type ChangeMark = () => string | undefined

/** Values of one kind. */
const defaultCapacity = 10_000

/**
 * What was made of the database's content, for as long as nothing has changed that decides who may do what. Whoever makes
 * a value asks for the mark before: what changes meanwhile makes another one, with which nothing of before is found.
 */
export class KeptValues<Value extends object> {
  readonly #markOf: ChangeMark
  readonly #values: LRUCache<string, Value>
  #mark: string | undefined

  /** @param capacity the least recently asked for goes first. */
  constructor(markOf: ChangeMark, capacity = defaultCapacity) {
    this.#markOf = markOf
    this.#values = new LRUCache({ max: capacity })
  }

  /** As it is now. Undefined: nothing can be kept. */
  mark(): string | undefined {
    const mark = this.#markOf()
    if (mark !== this.#mark) {
      this.#mark = mark
      this.#values.clear()
    }
    return mark
  }

  /** What was kept with the mark that was asked for last. */
  find(key: string): Value | undefined {
    return this.#values.get(key)
  }

  /** @param mark as it was before the value was made: when it is another by now, nothing is kept. */
  keep(key: string, value: Value, mark: string): void {
    if (mark === this.#mark) this.#values.set(key, value)
  }
}
