import type { Around } from './intercepted.ts'

/** Holds one call, the n-th of a method, until it is let through. For the interceptors. */
export class Gate {
  /** Resolves when the call is being held. */
  readonly reached: Promise<void>
  /** Lets the call through, and all later ones. */
  readonly open: () => void
  readonly #method: string
  readonly #arrive: () => void
  readonly #opened: Promise<void>
  #callsLeft: number

  constructor(method: string, nth: number) {
    const arrival = Promise.withResolvers<void>()
    const opening = Promise.withResolvers<void>()
    this.reached = arrival.promise
    this.#arrive = arrival.resolve
    this.#opened = opening.promise
    this.open = opening.resolve
    this.#method = method
    this.#callsLeft = nth
  }

  readonly around: Around = async (method, call) => {
    if (method !== this.#method || --this.#callsLeft !== 0) return call()
    this.#arrive()
    await this.#opened
    return call()
  }
}
