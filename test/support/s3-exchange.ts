import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { parseS3Request, type S3Operation, type S3Request } from './s3-operation.ts'

export interface S3Answer {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: Readable | Buffer
}

/** What S3 says instead of an answer. */
export interface S3Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

/** What a proxy remembers of a request. */
export interface S3Record {
  readonly method: string
  readonly operation: S3Operation
  readonly key: string
  readonly query: URLSearchParams
  /** Undefined when the connection was cut before an answer, or none has been given yet. */
  status: number | undefined
}

export interface ForwardOptions {
  /** Stands in the way of the request's body. */
  readonly through?: Duplex | undefined
}

/** One request on its way through a proxy. Its maker sends it on, answers it or cuts it. */
export class S3Exchange {
  readonly request: S3Request
  readonly record: S3Record
  readonly #incoming: IncomingMessage
  readonly #response: ServerResponse
  readonly #socket: Socket
  readonly #target: URL
  #body: Buffer | undefined
  #waits: boolean

  /** @param waits whether the client sends no body before it has been told to (`Expect: 100-continue`). */
  constructor(incoming: IncomingMessage, response: ServerResponse, target: URL, waits: boolean) {
    this.request = parseS3Request(incoming.method ?? '', incoming.url ?? '', incoming.headers)
    const { method, operation, key, query } = this.request
    this.record = { method, operation, key, query, status: undefined }
    this.#incoming = incoming
    this.#response = response
    this.#socket = incoming.socket
    this.#target = target
    this.#waits = waits
  }

  /** The whole body of the request, for what the proxy must know before it sends it on. */
  async body(): Promise<Buffer> {
    this.#continue()
    this.#body ??= await buffer(this.#incoming)
    return this.#body
  }

  /**
   * Sends the request to the server exactly as it was signed, Host included. Answers what the server says as soon
   * as it begins to.
   */
  async forward({ through }: ForwardOptions = {}): Promise<S3Answer> {
    const { method = '', url: path = '', rawHeaders } = this.#incoming
    const { hostname, port } = this.#target
    const headers = [...withoutConnection(rawHeaders)]
    // A connection for each: one that the server has just given up would be a fault that nobody asked for.
    const outgoing = request({ hostname, port, method, path, headers, agent: false })
    const answered = new Promise<IncomingMessage>((resolve, reject) =>
      outgoing.once('response', resolve).on('error', reject),
    )
    this.#response.once('close', () => {
      through?.destroy()
      outgoing.destroy(brokenOff('the client has gone'))
    })
    if (this.#body !== undefined) outgoing.end(this.#body)
    else if (this.#waits) {
      outgoing.once('continue', () => this.#send(outgoing, through))
      outgoing.flushHeaders()
    } else this.#send(outgoing, through)
    const answer = await answered
    return { status: answer.statusCode ?? 502, headers: headersOf(answer), body: answer }
  }

  #send(outgoing: ClientRequest, through: Duplex | undefined): void {
    this.#continue()
    this.#incoming.on('error', error => outgoing.destroy(error))
    if (through === undefined) return void this.#incoming.pipe(outgoing)
    through.on('error', error => outgoing.destroy(error))
    this.#incoming.pipe(through).pipe(outgoing)
  }

  async answer({ status, headers, body }: S3Answer): Promise<void> {
    this.#begin(status, headers)
    if (body instanceof Uint8Array) this.#response.end(body)
    else await pipeline(body, this.#response)
    // What is left of the request's body, of which the server wants no more: a client that cannot get rid of it would
    // take an early answer for a broken connection.
    this.#incoming.unpipe().resume()
  }

  /** Begins an answer that does not come to its end. Resolves when its first bytes are on their way. */
  async answerPartly({ status, headers, body }: S3Answer, bytes: number): Promise<void> {
    this.#begin(status, headers)
    let left = bytes
    for await (const chunk of body instanceof Uint8Array ? [body] : (body as AsyncIterable<Buffer>)) {
      const part = chunk.subarray(0, left)
      left -= part.length
      await new Promise<void>(resolve => this.#response.write(part, () => resolve()))
      // Leaving the loop ends the connection to the server, too.
      if (left === 0) return
    }
  }

  async answerXml(status: number, xml: string): Promise<void> {
    const body = Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`)
    const headers = { 'content-type': 'application/xml', 'content-length': body.length }
    // HEAD has no body, and says nothing about the one that it would have.
    await this.answer(
      this.request.method === 'HEAD'
        ? { status, headers: {}, body: Buffer.alloc(0) }
        : { status, headers, body },
    )
  }

  async refuse({ status, code, message }: S3Refusal): Promise<void> {
    await this.answerXml(
      status,
      `<Error><Code>${code}</Code><Message>${message}</Message><RequestId>proxy</RequestId></Error>`,
    )
  }

  /** As a host that has died: the connection is reset. When all is answered it is another request's. */
  reset(): void {
    if (!this.#response.writableFinished) this.#socket.resetAndDestroy()
  }

  /** As a server that ends in the middle: the connection is closed, after all that has been written. */
  close(): void {
    this.#socket.destroySoon()
  }

  #continue(): void {
    if (this.#waits) this.#response.writeContinue()
    this.#waits = false
  }

  #begin(status: number, headers: OutgoingHttpHeaders): void {
    this.record.status = status
    // A body that was never asked for never comes, so nothing else can come on this connection.
    this.#response.writeHead(status, this.#waits ? { ...headers, connection: 'close' } : headers)
  }
}

/** An error as a socket has it. */
export function brokenOff(reason: string): Error {
  return Object.assign(new Error(reason), { code: 'ECONNRESET' })
}

/** Those are about one connection, and the proxy has two. Nobody signs them. */
const connectionHeaders: ReadonlySet<string> = new Set(['connection', 'keep-alive'])

function* withoutConnection(rawHeaders: readonly string[]): Iterable<string> {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    if (!connectionHeaders.has(name.toLowerCase())) yield* [name, value]
  }
}

function headersOf(answer: IncomingMessage): OutgoingHttpHeaders {
  const isKept = ([name]: readonly [string, unknown]): boolean =>
    name !== 'transfer-encoding' && !connectionHeaders.has(name)
  return Object.fromEntries(Object.entries(answer.headers).filter(isKept))
}
