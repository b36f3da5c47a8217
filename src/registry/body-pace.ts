import type { RequestBody } from './request-body.ts'

/** How slow a request's body may be. */
export interface BodyPace {
  /** Bytes that must arrive in each second, on average over `windowMs`; 0 for no bound. */
  readonly minBytesPerSecond: number
  readonly windowMs: number
}

/**
 * 1 KiB a second is slower than any line that could carry an image. An idle timeout alone lets a client hold a
 * connection, a session and a part of memory for ever with one byte a minute.
 */
export const defaultBodyPace: BodyPace = Object.freeze({ minBytesPerSecond: 1024, windowMs: 60_000 })

/**
 * Calls `onSlow` once when a body that is being read has brought too little in a whole window. A window in which we
 * did not want to read, waiting for the store or for memory, says nothing about the client.
 *
 * @returns what ends the watch.
 */
export function watchPace(
  body: RequestBody,
  { minBytesPerSecond, windowMs }: BodyPace,
  onSlow: () => void,
): () => void {
  if (minBytesPerSecond === 0) return () => {}
  const enough = (minBytesPerSecond * windowMs) / 1000
  let received = body.received
  const timer = setInterval(() => {
    const wasPaused = body.takePaused()
    const brought = body.received - received
    received = body.received
    if (wasPaused || brought >= enough) return
    clearInterval(timer)
    if (!body.complete) onSlow()
  }, windowMs).unref()
  return () => clearInterval(timer)
}
