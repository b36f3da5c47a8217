/** What is answered to a request that Node's HTTP parser could not read. */
export interface MalformedAnswer {
  /** Of HTTP. */
  readonly status: number
  /** For people. */
  readonly message: string
}

const badRequest: MalformedAnswer = { status: 400, message: 'The request is not HTTP as RFC 9112 has it.' }

/** By Node's names: `nodejs.org/api/http.html#event-clienterror`. */
const answers: Readonly<Record<string, MalformedAnswer>> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: 'The headers of the request are too long.' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    message: 'The chunk extensions of the body are too long.',
  },
  ERR_SSL_HTTP_REQUEST: { status: 400, message: 'This address speaks TLS: call it by https.' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'The request took too long to arrive.' },
}

/** @param reason Node's name for what is wrong; whatever is not known is 400. */
export function malformedAnswer(reason: string): MalformedAnswer {
  return answers[reason] ?? badRequest
}
