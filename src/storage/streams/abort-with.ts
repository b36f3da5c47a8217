import { addAbortSignal, type Readable } from 'node:stream'

/**
 * Destroys `stream` when the signal aborts. That may be before anybody listens, and an error that nobody hears ends
 * the process, so one listener is here from the start; whoever reads the stream hears of it as well.
 */
export function abortWith<Stream extends Readable>(stream: Stream, signal: AbortSignal | undefined): Stream {
  stream.on('error', () => {})
  return signal === undefined ? stream : addAbortSignal(signal, stream)
}
