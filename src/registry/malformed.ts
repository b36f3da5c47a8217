import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { errnoOf } from '../errors.ts'
import { malformedAnswer } from '../malformed-request.ts'

/** A request that Node could not read. */
export interface Malformed {
  /** Of the answer that it got; undefined when there was nobody to answer any more. */
  readonly status: number | undefined
  /** Node's name for what is wrong, such as `HPE_INVALID_METHOD`. */
  readonly reason: string
  /** Address of the connection's other end. */
  readonly peer: string | undefined
}

/**
 * Answers what is not HTTP with a JSON error, as all other errors are, and closes the connection. No application ever
 * sees such a request, so this is all there is to tell of it.
 *
 * @param answering the answer that is under way on the connection: another one cannot be put into it.
 */
export function answerMalformed(
  error: Error,
  socket: Socket,
  answering: ServerResponse<IncomingMessage> | undefined,
): Malformed {
  const reason = errnoOf(error) ?? error.name
  const peer = socket.remoteAddress
  const isGone = reason === 'ECONNRESET' || !socket.writable
  if (isGone || answering?.headersSent === true) {
    socket.destroy()
    return { status: undefined, reason, peer }
  }
  const { status, text } = malformedResponse(reason)
  socket.end(text)
  // Whoever cannot speak HTTP may not close either.
  socket.destroySoon()
  return { status, reason, peer }
}

/** The whole answer as it is written to the connection. @param reason as in {@link Malformed}. */
export function malformedResponse(reason: string): { readonly status: number; readonly text: string } {
  const { status, message } = malformedAnswer(reason)
  const body = JSON.stringify({ errors: [{ code: 'UNSUPPORTED', message }] })
  const text = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Docker-Distribution-API-Version: registry/2.0',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
    '',
    body,
  ].join('\r\n')
  return { status, text }
}
