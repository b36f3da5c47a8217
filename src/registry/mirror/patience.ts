import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import { backoffMs } from '../../storage/backoff.ts'
import type { RunGate } from './run-gate.ts'

export interface PatienceOptions {
  readonly gate: RunGate
  readonly signal: AbortSignal
  readonly random: () => number
  readonly maxPauseMs: number
  /** How often it may fail one time after the other, tries counted in, before it is given up. */
  readonly maxOutages: number
  readonly onGivingUp: (reason: string) => void
}

/** Each of them is several requests, for the client of a registry tries again by itself. */
const triesInAll = 3

/** Tries again what may go well the next time, and sees when nothing goes well any more. */
export class Patience {
  readonly #options: PatienceOptions
  #outages = 0

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /**
   * Does the work when the run may go on: again as soon as who asked to wait may be asked again, and a few times after an
   * outage.
   * @throws what the work throws in the end; the signal's reason.
   */
  async with<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const { gate, signal, random, maxPauseMs } = this.#options
    for (let failures = 0; ; ) {
      await gate.pass('work')
      try {
        const answer = await work()
        this.#went()
        return answer
      } catch (error) {
        signal.throwIfAborted()
        if (isDomainError(error, 'throttled')) {
          gate.hold(error)
          continue
        }
        if (!isDomainError(error, 'unavailable', 'busy')) {
          this.#went()
          throw error
        }
        failures += 1
        if (failures === triesInAll) {
          this.#failed(error.message)
          throw error
        }
        const askedMs = (error.details.retryAfterSeconds ?? 0) * 1000
        await sleep(backoffMs(failures, maxPauseMs, askedMs, random()), undefined, { signal })
      }
    }
  }

  /** An answer, even if it is that something is wrong. */
  #went(): void {
    this.#outages = 0
    this.#options.gate.moved()
  }

  #failed(reason: string): void {
    const { maxOutages, onGivingUp } = this.#options
    this.#outages += 1
    if (this.#outages >= maxOutages)
      onGivingUp(`It failed ${this.#outages} times one after the other; the last time: ${reason}`)
  }
}
