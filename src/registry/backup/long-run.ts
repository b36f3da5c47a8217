import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'

/** How long a request waits: proxies give up on those that say nothing for a minute. */
const defaultWaitMs = 20_000

/** Work that goes on when whoever has asked for it does not wait any longer; it ends with this. */
export class LongRun<Result> implements AsyncDisposable {
  readonly #work: (options: Abortable) => Promise<Result>
  readonly #onFailure: (error: unknown) => void
  readonly #waitMs: number
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  /** @param onFailure told of failures that nobody waits for any more. */
  constructor(
    work: (options: Abortable) => Promise<Result>,
    onFailure: (error: unknown) => void,
    waitMs: number = defaultWaitMs,
  ) {
    this.#work = work
    this.#onFailure = onFailure
    this.#waitMs = waitMs
  }

  /** Undefined when it goes on. What it rejects with within the time is this one's. */
  async start({ signal }: Abortable = {}): Promise<Result | undefined> {
    signal?.throwIfAborted()
    const run = this.#work({ signal: this.#closing.signal })
    const ended = run.catch(() => {}).finally(() => this.#running.delete(ended))
    this.#running.add(ended)
    const waiting = new AbortController()
    const patience = signal === undefined ? waiting.signal : AbortSignal.any([signal, waiting.signal])
    const late = sleep(this.#waitMs, undefined, { signal: patience }).catch(() => undefined)
    let isAwaited = true
    try {
      return await Promise.race([
        run.catch((error: unknown) => {
          if (isAwaited) throw error
          if (!this.#closing.signal.aborted) this.#onFailure(error)
          return undefined
        }),
        late,
      ])
    } finally {
      isAwaited = false
      waiting.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#running)
  }
}
