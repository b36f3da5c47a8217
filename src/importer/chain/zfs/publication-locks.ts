import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../../storage/abortable.ts'
import { ProcessLock } from '../../../storage/process-lock.ts'
import type { ImageUuid } from '../../smartos/image-uuid.ts'
import { KeyedQueue } from '../keyed-queue.ts'

/** Lock files are never removed, and images come and go without end: so a fixed number of files. */
const slotDigits = 2
/** To publish takes a few commands of some milliseconds each. */
const pollMs = 50

/** Who works on which publication, of all processes that share a directory of lock files. */
export class PublicationLocks {
  readonly #directory: string
  readonly #queue = new KeyedQueue<string>()

  /** @param directory exists, and holds nothing else. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Runs `work` when nobody else works on the image, however long that takes. */
  run<Result>(uuid: ImageUuid, work: () => Promise<Result>, options: Abortable = {}): Promise<Result> {
    const slot = slotOf(uuid)
    return this.#queue.run(slot, async () => {
      using _ = await this.#acquire(slot, options)
      return await work()
    })
  }

  /** Runs `work` unless another process works on the image at this moment; answers whether it ran. */
  async attempt(uuid: ImageUuid, work: () => Promise<void>): Promise<boolean> {
    const slot = slotOf(uuid)
    return await this.#queue.run(slot, async () => {
      using lock = ProcessLock.tryAcquire(join(this.#directory, slot))
      if (lock !== undefined) await work()
      return lock !== undefined
    })
  }

  async #acquire(slot: string, { signal }: Abortable): Promise<ProcessLock> {
    for (;;) {
      signal?.throwIfAborted()
      const lock = ProcessLock.tryAcquire(join(this.#directory, slot))
      if (lock !== undefined) return lock
      await sleep(pollMs, undefined, { signal }).catch((cause: unknown) => {
        signal?.throwIfAborted()
        throw cause
      })
    }
  }
}

function slotOf(uuid: ImageUuid): string {
  return uuid.slice(0, slotDigits)
}
