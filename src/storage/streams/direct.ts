import type { Readable } from 'node:stream'

/** Takes a chunk, whose memory belongs to the giver again once the promise has settled. */
export type ByteSink = (chunk: Uint8Array) => Promise<void>

/**
 * An optional power of a stream: its bytes can also be handed out without new memory for each chunk, which costs more
 * than reading into it. Either `copyTo` is called or the stream is read, never both.
 */
export interface DirectReadable extends Readable {
  /** Resolves after the last byte; rejects with the first failure, or when the stream is destroyed. Closes the stream. */
  copyTo(sink: ByteSink): Promise<void>
}

export function isDirect(stream: Readable): stream is DirectReadable {
  return 'copyTo' in stream && typeof stream.copyTo === 'function'
}
