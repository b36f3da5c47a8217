import type { IncomingMessage, Server as HttpServer, ServerOptions, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerMalformed } from './malformed.ts'

/** What one client, or many, can make the agent hold. Times in milliseconds. */
export interface ListenerLimits {
  /** For a whole request's headers. */
  readonly headersMs: number
  /** For a whole request, its small body included; what is answered may take as long as it takes. */
  readonly requestMs: number
  /** How long a connection may wait for its next request. */
  readonly keepAliveMs: number
  /** How long requests that have no answer yet may go on after a stop was asked for. */
  readonly stopMs: number
  readonly maxConnections: number
}

export const defaultListenerLimits: ListenerLimits = Object.freeze({
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 75_000,
  stopMs: 5_000,
  maxConnections: 1024,
})

/** Answers one request; resolves when nothing is done for it any more. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export function serverOptions({ headersMs, requestMs, keepAliveMs }: ListenerLimits): ServerOptions {
  return {
    headersTimeout: Math.min(headersMs, requestMs),
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    // Node looks for requests that are overdue only so often.
    connectionsCheckingInterval: Math.min(headersMs, requestMs, 10_000) / 2,
    // A client that has died without a word is noticed, also where it only listens.
    keepAlive: true,
  }
}

/** Requests of one server, and its end. */
export class Listener {
  readonly #server: HttpServer
  readonly #stopMs: number
  readonly #running = new Set<Promise<void>>()
  /** Answers that have not ended; a stream's goes on when its handler is done. */
  readonly #open = new Set<ServerResponse>()
  readonly #answering = new WeakMap<Duplex, ServerResponse>()
  #closing: Promise<void> | undefined

  constructor(server: HttpServer, handler: Handler, { stopMs, maxConnections }: ListenerLimits) {
    this.#server = server
    this.#stopMs = stopMs
    server.maxConnections = maxConnections
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#serve(handler, request, response),
    )
    server.on('clientError', (error, socket) => answerMalformed(error, socket, this.#answering.get(socket)))
  }

  #serve(handler: Handler, request: IncomingMessage, response: ServerResponse): void {
    if (this.#closing !== undefined) response.setHeader('Connection', 'close')
    const { socket } = request
    this.#answering.set(socket, response)
    this.#open.add(response)
    response.once('close', () => {
      this.#open.delete(response)
      if (this.#answering.get(socket) === response) this.#answering.delete(socket)
      if (this.#closing !== undefined) setImmediate(() => this.#server.closeIdleConnections())
    })
    const work = handler(request, response).finally(() => this.#running.delete(work))
    this.#running.add(work)
  }

  /**
   * Stops accepting. An answer that has begun and not ended follows an import, which may take for ever: it is cut, and
   * its client sees that the last record is missing. All others may end, as long as `stopMs` lasts. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const late = new AbortController()
    const giveUp = sleep(this.#stopMs, undefined, { signal: late.signal }).catch(() => undefined)
    this.#cutStreams()
    this.#server.closeIdleConnections()
    await Promise.race([Promise.allSettled(this.#running), giveUp])
    // Those that had not begun before.
    this.#cutStreams()
    await Promise.race([closed, giveUp])
    late.abort()
    this.#server.closeAllConnections()
    await closed
  }

  #cutStreams(): void {
    for (const response of this.#open) if (response.headersSent && !response.writableEnded) response.destroy()
  }
}
