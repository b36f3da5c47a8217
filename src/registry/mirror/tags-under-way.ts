import { type Abortable, orAbort } from '../../storage/abortable.ts'

/** How many tags of each repository are still being worked on. */
export class TagsUnderWay<Repository> {
  readonly #counts = new Map<Repository, number>()
  readonly #waiting = new Map<Repository, PromiseWithResolvers<void>>()

  begun(repository: Repository): void {
    this.#counts.set(repository, (this.#counts.get(repository) ?? 0) + 1)
  }

  ended(repository: Repository): void {
    const left = (this.#counts.get(repository) ?? 1) - 1
    if (left > 0) {
      this.#counts.set(repository, left)
      return
    }
    this.#counts.delete(repository)
    this.#waiting.get(repository)?.resolve()
    this.#waiting.delete(repository)
  }

  /** Waits until no tag of the repository is worked on; for one waiter for each. */
  async none(repository: Repository, { signal }: Abortable): Promise<void> {
    if (!this.#counts.has(repository)) return
    const waiting = Promise.withResolvers<void>()
    this.#waiting.set(repository, waiting)
    await orAbort(waiting.promise, signal)
  }
}
