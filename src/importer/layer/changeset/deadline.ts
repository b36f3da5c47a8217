import { layerTooLarge } from '../layer-errors.ts'

/** Milliseconds since some moment, never backwards. */
export type Clock = () => number

/** When applying a layer has to be over. */
export class Deadline {
  readonly #clock: Clock
  readonly #maxSeconds: number
  readonly #end: number

  constructor(maxSeconds: number, clock: Clock) {
    this.#clock = clock
    this.#maxSeconds = maxSeconds
    this.#end = clock() + maxSeconds * 1000
  }

  /** @throws DomainError `too_large` when it is past. */
  check(): void {
    if (this.#clock() > this.#end)
      throw layerTooLarge(`it takes longer than ${this.#maxSeconds} seconds, the limit maxSeconds`)
  }
}
