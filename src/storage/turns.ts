import { type Abortable, orAbort } from './abortable.ts'

/** Lets those who do the same thing do it one after another, within this process. */
export class Turns {
  readonly #running = new Map<string, PromiseWithResolvers<void>>()

  /** Does `work` while nobody else does theirs for the same key. However that ended, the next one has to look anew. */
  async alone<Result>(key: string, work: () => Promise<Result>, { signal }: Abortable = {}): Promise<Result> {
    signal?.throwIfAborted()
    for (let before = this.#running.get(key); before !== undefined; before = this.#running.get(key))
      await orAbort(before.promise, signal)
    const turn = Promise.withResolvers<void>()
    this.#running.set(key, turn)
    try {
      return await work()
    } finally {
      this.#running.delete(key)
      turn.resolve()
    }
  }
}
