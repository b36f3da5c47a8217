/**
 * Ends a question whose whole answer takes too long. It runs from when the registry has all of the question: what we wait
 * for among ourselves, and what takes long to send, is not the registry's slowness.
 */
export class DocumentClock implements Disposable {
  readonly #late = new AbortController()
  readonly #ms: number
  /** Aborts when it has run out, and when the asker gives up. */
  readonly signal: AbortSignal
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(ms: number, asker: AbortSignal | undefined) {
    this.#ms = ms
    this.signal = asker === undefined ? this.#late.signal : AbortSignal.any([this.#late.signal, asker])
  }

  get hasRunOut(): boolean {
    return this.#late.signal.aborted
  }

  /** Only the first one counts. */
  start(): void {
    if (!this.#isOver) this.#timer ??= setTimeout(() => this.#late.abort(), this.#ms)
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }
}
