import { DomainError, type ErrorCode, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { backoffMs } from '../../storage/backoff.ts'

export interface UpstreamGateOptions {
  /** Name of the upstream, for messages. */
  readonly name: string
  /** Milliseconds that only grow. */
  readonly now?: (() => number) | undefined
  /** Between 0 and 1; for pauses that are not those of everybody else. */
  readonly random?: (() => number) | undefined
  /** Told of each answer, by what it was. */
  readonly onAnswer?: ((outcome: AskOutcome) => void) | undefined
  /** Told once it is left alone for longer than a moment. @param forMs from now on. */
  readonly onBlocked?: ((by: DomainError, forMs: number) => void) | undefined
  /** Told when it answers after that. */
  readonly onFreed?: (() => void) | undefined
}

/** How a question ended: `failed` is any answer that is wrong; `refused` is 401 or 403; `closed` was not asked at all. */
export type AskOutcome = 'ok' | 'absent' | 'refused' | 'throttled' | 'unavailable' | 'failed' | 'closed'

/** The longest pause that upstream can ask for: what it says may be anything. */
const maxAskedMs = 15 * 60_000
/** The longest that we make ourselves. */
const maxOwnMs = 60_000
/** What is shorter happens to every registry now and then, and is nothing to tell of. */
const toldMs = 5_000

/**
 * Leaves an upstream alone that has asked us to, or does not answer: for as long as it says, else for a pause that grows
 * with each failure. The first answer of any other kind ends that.
 */
export class UpstreamGate {
  readonly #options: UpstreamGateOptions
  readonly #now: () => number
  #failures = 0
  #isTold = false
  #closed: { readonly until: number; readonly by: DomainError } | undefined

  constructor(options: UpstreamGateOptions) {
    this.#options = options
    this.#now = options.now ?? performance.now.bind(performance)
  }

  /** Seconds for which nothing is asked; 0 when questions are. */
  get closedSeconds(): number {
    return Math.max(0, ((this.#closed?.until ?? 0) - this.#now()) / 1000)
  }

  /** @throws DomainError `throttled`, `unavailable` with `retryAfterSeconds` while it is closed; what `question` throws. */
  async ask<Answer>(
    question: (options: Abortable) => Promise<Answer>,
    { signal }: Abortable = {},
  ): Promise<Answer> {
    signal?.throwIfAborted()
    this.#refuseWhileClosed()
    const askedAt = this.#now()
    try {
      const answer = await question({ signal })
      this.#opened('ok')
      return answer
    } catch (error) {
      // Of what is given up for any other reason than that it took too long, nobody knows what upstream would have said.
      this.#failed(signal?.aborted === true ? signal.reason : error, askedAt)
      throw error
    }
  }

  #refuseWhileClosed(): void {
    const seconds = this.closedSeconds
    if (seconds === 0 || this.#closed === undefined) return
    this.#options.onAnswer?.('closed')
    const { by } = this.#closed
    throw new DomainError(
      by.code,
      `${this.#options.name} is left alone for ${Math.ceil(seconds)} more seconds: ${by.message}`,
      { resource: 'registry', name: this.#options.name, retryAfterSeconds: Math.ceil(seconds) },
      { cause: by },
    )
  }

  #failed(error: unknown, askedAt: number): void {
    const outcome = outcomeOf(error)
    if (outcome === undefined) return
    if (!isDomainError(error, 'throttled', 'unavailable')) {
      this.#opened(outcome)
      return
    }
    this.#options.onAnswer?.(outcome)
    // Many questions may have been on their way together; all of them are one failure.
    const isNews = this.#closed === undefined || askedAt >= this.#closed.until
    if (isNews) this.#failures += 1
    const asked = error.details.retryAfterSeconds
    const pauseMs =
      asked === undefined
        ? backoffMs(this.#failures, maxOwnMs, 0, this.#options.random?.())
        : Math.min(Math.max(asked, 1) * 1000, maxAskedMs)
    const until = this.#now() + pauseMs
    if (isNews || until > (this.#closed?.until ?? 0)) this.#closed = { until, by: error }
    if (this.#isTold || pauseMs < toldMs) return
    this.#isTold = true
    this.#options.onBlocked?.(error, pauseMs)
  }

  /** It speaks, whatever it says. */
  #opened(outcome: AskOutcome): void {
    this.#options.onAnswer?.(outcome)
    // An answer to what was asked before it closed does not take back what upstream has asked for.
    if (this.closedSeconds > 0) return
    this.#failures = 0
    this.#closed = undefined
    if (!this.#isTold) return
    this.#isTold = false
    this.#options.onFreed?.()
  }
}

const outcomes: Readonly<Partial<Record<ErrorCode, AskOutcome>>> = {
  not_found: 'absent',
  unauthorized: 'refused',
  denied: 'refused',
  throttled: 'throttled',
  unavailable: 'unavailable',
}

/** Undefined for what upstream has no part in. */
function outcomeOf(error: unknown): AskOutcome | undefined {
  return isDomainError(error) ? (outcomes[error.code] ?? 'failed') : undefined
}
