/** The last argument of every asynchronous method that can take long. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined
}

/** Waits for `promise`, or until the signal aborts; what the promise stands for goes on either way. */
export async function orAbort<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return await promise
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([aborted.promise, promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
