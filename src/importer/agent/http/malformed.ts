import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { errnoOf } from '../../../errors.ts'
import type { WireError } from '../wire.ts'

/** By Node's names: `nodejs.org/api/http.html#event-clienterror`. Whatever else is wrong is 400. */
const statusOf: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

const sentences: Readonly<Record<number, string>> = {
  400: 'The request is not HTTP as RFC 9112 has it.',
  408: 'The request took too long to arrive.',
  413: 'The chunk extensions of the body are too long.',
  431: 'The headers of the request are too long.',
}

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
  const status = statusOf[reason] ?? 400
  const failure: WireError = { error: { code: 'invalid', message: sentences[status] ?? '' } }
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
