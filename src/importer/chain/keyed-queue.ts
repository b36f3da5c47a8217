/** Runs work one after the other for each key, and side by side for different keys. */
export class KeyedQueue<Key> {
  readonly #last = new Map<Key, Promise<unknown>>()

  async run<Result>(key: Key, work: () => Promise<Result>): Promise<Result> {
    // How the work before us ended is the business of whoever asked for it.
    const before = this.#last.get(key)?.catch(() => undefined)
    const ours = before === undefined ? work() : before.then(work)
    this.#last.set(key, ours)
    try {
      return await ours
    } finally {
      if (this.#last.get(key) === ours) this.#last.delete(key)
    }
  }
}
