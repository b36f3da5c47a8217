import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../storage/abortable.ts'

/** How long a request waits: proxies give up on those that say nothing for a minute. */
const defaultWaitMs = 20_000
const defaultKeepMs = 5 * 60_000

export interface JoinedRunsOptions {
  /** Told of failures that nobody waits for when they happen. */
  readonly onFailure: (error: unknown) => void
  readonly waitMs?: number | undefined
  /** How long whoever comes back is told how a run has ended. */
  readonly keepMs?: number | undefined
}

interface Run<Result> {
  readonly ended: Promise<Result>
  waiting: number
}

/**
 * Work that goes on when whoever has asked for it does not wait any longer. Whoever asks for the same again waits for it
 * once more, and is told how it has ended. Disposing this ends all of it.
 */
export class JoinedRuns<Result> implements AsyncDisposable {
  readonly #options: JoinedRunsOptions
  readonly #closing = new AbortController()
  readonly #runs = new Map<string, Run<Result>>()
  readonly #forgetting = new Set<Promise<void>>()

  constructor(options: JoinedRunsOptions) {
    this.#options = options
  }

  /** Undefined when it goes on; ask again then. @throws what the work has failed with. */
  async join(
    key: string,
    work: (options: Abortable) => Promise<Result>,
    { signal }: Abortable = {},
  ): Promise<Result | undefined> {
    signal?.throwIfAborted()
    const run = this.#runs.get(key) ?? this.#begin(key, work)
    const leaving = new AbortController()
    const patience = signal === undefined ? leaving.signal : AbortSignal.any([signal, leaving.signal])
    const late = sleep(this.#options.waitMs ?? defaultWaitMs, 'late' as const, { signal: patience }).catch(
      () => 'late' as const,
    )
    const told = run.ended.then(
      result => ({ result }),
      (error: unknown) => ({ error }),
    )
    run.waiting += 1
    try {
      const end = await Promise.race([told, late])
      if (end === 'late') return undefined
      if (this.#runs.get(key) === run) this.#runs.delete(key)
      if ('error' in end) throw end.error
      return end.result
    } finally {
      run.waiting -= 1
      leaving.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#forgetting)
  }

  #begin(key: string, work: (options: Abortable) => Promise<Result>): Run<Result> {
    const run: Run<Result> = { ended: work({ signal: this.#closing.signal }), waiting: 0 }
    this.#runs.set(key, run)
    const forgetting = this.#forget(key, run).finally(() => this.#forgetting.delete(forgetting))
    this.#forgetting.add(forgetting)
    return run
  }

  async #forget(key: string, run: Run<Result>): Promise<void> {
    const { signal } = this.#closing
    await run.ended.catch((error: unknown) => {
      if (run.waiting === 0 && !signal.aborted) this.#options.onFailure(error)
    })
    const keepMs = this.#options.keepMs ?? defaultKeepMs
    // Who waits has it at once, and then nobody has to come back for it.
    if (run.waiting === 0) await sleep(keepMs, undefined, { signal, ref: false }).catch(() => {})
    if (this.#runs.get(key) === run) this.#runs.delete(key)
  }
}
