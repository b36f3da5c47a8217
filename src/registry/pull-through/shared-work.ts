import { DomainError } from '../../errors.ts'
import { type Abortable, orAbort } from '../../storage/abortable.ts'

export interface SharedWorkOptions {
  /** What takes longer is given up. */
  readonly maxMs: number
  /** What goes on at once; more is refused. */
  readonly limit: number
}

/**
 * Does the same thing once for all who want it at the same time. It goes on to its end when those who wanted it have left,
 * because somebody will want it again. Disposing breaks it off.
 */
export class SharedWork<Result> implements AsyncDisposable {
  readonly #options: SharedWorkOptions
  readonly #running = new Map<string, Promise<Result>>()
  readonly #closing = new AbortController()

  constructor(options: SharedWorkOptions) {
    this.#options = options
  }

  /**
   * @param key tells what is the same from all else.
   * @throws DomainError `unavailable` for what takes too long, or when too much goes on; what `work` throws.
   */
  async do(
    key: string,
    work: (options: Abortable) => Promise<Result>,
    { signal }: Abortable = {},
  ): Promise<Result> {
    signal?.throwIfAborted()
    return await orAbort(this.#running.get(key) ?? this.#start(key, work), signal)
  }

  /** Waits for what is running to be broken off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#running.values())
  }

  #start(key: string, work: (options: Abortable) => Promise<Result>): Promise<Result> {
    if (this.#running.size >= this.#options.limit || this.#closing.signal.aborted)
      return Promise.reject(unavailable('Too much is being fetched from other registries now.'))
    const running = this.#bounded(work).finally(() => this.#running.delete(key))
    this.#running.set(key, running)
    // All who wanted it may have left.
    running.catch(() => {})
    return running
  }

  async #bounded(work: (options: Abortable) => Promise<Result>): Promise<Result> {
    const late = new AbortController()
    const tooLate = unavailable('Another registry has not answered in time.')
    const timer = setTimeout(() => late.abort(tooLate), this.#options.maxMs)
    const close = (): void => late.abort(unavailable('The registry is stopping.'))
    this.#closing.signal.addEventListener('abort', close, { once: true })
    try {
      return await work({ signal: late.signal })
    } catch (error) {
      throw late.signal.aborted ? late.signal.reason : error
    } finally {
      clearTimeout(timer)
      this.#closing.signal.removeEventListener('abort', close)
    }
  }
}

function unavailable(message: string): DomainError {
  return new DomainError('unavailable', message, { resource: 'registry' })
}
