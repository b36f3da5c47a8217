import type { IncomingMessage, ServerResponse } from 'node:http'

/** What is spent on the body of a request that has its answer already. */
export interface LeftoverLimits {
  /** Bytes that are read and dropped so that the connection can serve the next request. */
  readonly drainBytes: number
  /** Milliseconds after the answer that a client may go on sending before the connection is cut. */
  readonly drainMs: number
}

export const defaultLeftoverLimits: LeftoverLimits = Object.freeze({
  drainBytes: 1024 * 1024,
  drainMs: 10_000,
})

/**
 * Reads on after an early answer. Closing a connection while bytes arrive makes the system send a reset, which
 * can wipe the answer out before the client has read it. So the rest is dropped; when it is long, our side is
 * closed first, which tells the client to stop, and the connection is cut only after a while.
 *
 * Call it before the answer is finished: Node would otherwise drop the rest itself, without any bound.
 */
export function drainLeftover(
  request: IncomingMessage,
  response: ServerResponse,
  { drainBytes, drainMs }: LeftoverLimits,
): void {
  const { socket } = request
  const cut = () => socket.destroy()
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  response.once('finish', () => {
    if (request.complete) return
    timer = setTimeout(cut, drainMs).unref()
    if (dropped > drainBytes) socket.end()
  })
  request.on('data', (chunk: Buffer) => {
    const before = dropped
    dropped += chunk.length
    if (before <= drainBytes && dropped > drainBytes && response.writableFinished) socket.end()
  })
  request.once('close', () => {
    clearTimeout(timer)
    if (dropped > drainBytes) cut()
  })
  request.on('error', cut)
  request.resume()
}
