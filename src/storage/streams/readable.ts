import { once } from 'node:events'
import type { Readable } from 'node:stream'

/**
 * Resolves when the stream's first bytes are there, or its end. So a failure before the first byte can still be told
 * as one. Leaves the stream as it was, to be read in whatever way.
 *
 * @throws what the stream fails with.
 */
export async function untilReadable(stream: Readable): Promise<void> {
  if (stream.errored !== null) throw stream.errored
  if (stream.destroyed || stream.readableLength > 0 || stream.readableEnded) return
  const done = new AbortController()
  const { signal } = done
  try {
    // A stream that is destroyed without an error only closes.
    await Promise.race([once(stream, 'readable', { signal }), once(stream, 'close', { signal })])
  } finally {
    done.abort()
  }
}
