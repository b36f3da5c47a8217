import type { Abortable } from '../../storage/abortable.ts'
import { hourMs } from '../../storage/durations.ts'

/**
 * Runs `work` now and every hour. What fails is told, and tried again an hour later; ending waits for what runs.
 * @param onFailure not told of an end that we have asked for.
 */
export function hourly(
  work: (options: Abortable) => Promise<void>,
  onFailure: (error: unknown) => void,
): AsyncDisposable {
  return every(hourMs, work, onFailure)
}

/** As {@link hourly}, in another interval. When work takes longer than that, the next begins when it has ended. */
export function every(
  intervalMs: number,
  work: (options: Abortable) => Promise<void>,
  onFailure: (error: unknown) => void,
): AsyncDisposable {
  const closing = new AbortController()
  const { signal } = closing
  let running: Promise<void> | undefined
  const run = (): void => {
    running ??= work({ signal })
      .catch((error: unknown) => {
        if (!signal.aborted) onFailure(error)
      })
      .finally(() => {
        running = undefined
      })
  }
  const timer = setInterval(run, intervalMs)
  run()
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer)
      closing.abort()
      await running
    },
  }
}
