import { DomainError } from '../../src/errors.ts'
import type { Around } from './intercepted.ts'

/** Whether a call that fails has done its work all the same, as when only the answer got lost. */
export type FaultMoment = 'before' | 'after'

/** Makes one call fail, the n-th from when it is armed. For {@link interceptObjects} and {@link interceptMetadata}. */
export class Fault {
  readonly #moment: FaultMoment
  #callsLeft: number
  /** The method that failed, once it has. */
  struck: string | undefined

  constructor(nth: number, moment: FaultMoment) {
    this.#callsLeft = nth
    this.#moment = moment
  }

  disarm(): void {
    this.#callsLeft = 0
  }

  readonly around: Around = async (method, call) => {
    if (this.#callsLeft === 0 || --this.#callsLeft > 0) return call()
    this.struck = method
    if (this.#moment === 'after') await call()
    throw new DomainError('unavailable', `The test lets ${method} fail.`, { resource: 'object' })
  }
}
