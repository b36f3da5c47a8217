import { setTimeout as sleep } from 'node:timers/promises'
import { flush } from './copy-tree.ts'

/** Between the end of one and the beginning of the next. */
const pauseMs = 500

/**
 * Has what is written below a directory go to the disk while more is written. By itself Linux begins after many seconds, and
 * a commit would wait for all of it. Nothing depends on it: what it fails with, the flush of the commit fails with, too.
 */
export class FlushAhead implements Disposable {
  readonly #stop = new AbortController()

  constructor(directory: string) {
    this.#run(directory).catch(() => {})
  }

  async #run(directory: string): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await sleep(pauseMs, undefined, { signal, ref: false })
      await flush(directory, { signal })
    }
  }

  /** Idempotent. One that is under way is not waited for. */
  [Symbol.dispose](): void {
    this.#stop.abort()
  }
}
