import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { errnoOf } from '../../../errors.ts'
import { malformedAnswer } from '../../../malformed-request.ts'
import type { WireError } from '../wire.ts'

/**
 * Answers what is not HTTP with a JSON error, as all other errors are, and ends the connection.
 * @param answering the answer that is under way on the connection: another one cannot be put into it.
 */
export function answerMalformed(error: Error, socket: Duplex, answering: ServerResponse | undefined): void {
  const reason = errnoOf(error) ?? error.name
  // What is no matter of HTTP is TLS that has failed, or was never finished: an answer would wait for it for ever.
  const isHttp = reason.startsWith('HPE_') || reason.startsWith('ERR_HTTP_')
  if (!isHttp || !socket.writable || answering?.headersSent === true) {
    socket.destroy()
    return
  }
  const { status, message } = malformedAnswer(reason)
  const failure: WireError = { error: { code: 'invalid', message } }
  const body = `${JSON.stringify(failure)}\n`
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  // Whoever cannot speak HTTP may not close either.
  socket.end([...head, '', body].join('\r\n'), () => socket.destroy())
}
