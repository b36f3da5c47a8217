import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import { type Rate, take } from '../../storage/streams/token-bucket.ts'

/** So many bytes each second on average, shared by all who read at this pace. */
export class BytePace {
  readonly #rate: Rate | undefined
  #fullAt: number | undefined

  /** @param bytesPerSecond undefined: as fast as it goes. */
  constructor(bytesPerSecond: number | undefined) {
    this.#rate =
      bytesPerSecond === undefined ? undefined : { perSecond: bytesPerSecond, burst: bytesPerSecond }
  }

  /** Resolves when the bytes, which have been read already, are paid for. */
  async pass(bytes: number, { signal }: Abortable): Promise<void> {
    signal?.throwIfAborted()
    if (this.#rate === undefined) return
    const { fullAt, waitMs } = take(this.#rate, this.#fullAt, bytes, performance.now())
    this.#fullAt = fullAt
    if (waitMs > 0) await sleep(waitMs, undefined, { signal })
  }
}
