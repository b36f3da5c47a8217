import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { onFreePort } from './free-port.ts'
import { S3Exchange, type S3Record } from './s3-exchange.ts'
import type { S3Operation } from './s3-operation.ts'
import type { S3TestServer } from './s3-server.ts'

/** A way to a server, with a memory of what went along it. Stopping it does not stop the server. */
export interface S3Proxy extends S3TestServer {
  /** In the order in which they came. */
  requests(): readonly Readonly<S3Record>[]
  countByOperation(): Readonly<Partial<Record<S3Operation, number>>>
  /** Forgets the requests so far. */
  forgetRequests(): void
}

/** Decides what becomes of a request. What it throws cuts the connection. */
export type S3Handler = (exchange: S3Exchange) => Promise<void>

/** The proxy that listens and hands on; quirks and faults are its handler's. */
export class S3ProxyServer implements S3Proxy {
  readonly region: string
  readonly bucket: string
  readonly credentials: S3TestServer['credentials']
  readonly #target: URL
  readonly #handle: S3Handler
  #records: S3Record[] = []
  #port = 0
  #listening: Server | undefined

  static async start(server: S3TestServer, handle: S3Handler): Promise<S3ProxyServer> {
    return await onFreePort(async port => {
      const proxy = new S3ProxyServer(server, handle)
      proxy.#port = port
      await proxy.open()
      return proxy
    })
  }

  private constructor({ endpoint, region, bucket, credentials }: S3TestServer, handle: S3Handler) {
    this.region = region
    this.bucket = bucket
    this.credentials = credentials
    this.#target = new URL(endpoint)
    this.#handle = handle
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  requests(): readonly Readonly<S3Record>[] {
    return this.#records.map(record => ({ ...record }))
  }

  countByOperation(): Readonly<Partial<Record<S3Operation, number>>> {
    const counts: Partial<Record<S3Operation, number>> = {}
    for (const { operation } of this.#records) counts[operation] = (counts[operation] ?? 0) + 1
    return counts
  }

  forgetRequests(): void {
    this.#records = []
  }

  /** Listens, on the same port each time. */
  async open(): Promise<void> {
    if (this.#listening !== undefined) return
    const server = createServer((incoming, response) => this.#pass(incoming, response, false))
    server.on('checkContinue', (incoming, response) => this.#pass(incoming, response, true))
    server.keepAliveTimeout = 60_000
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#listening = server
  }

  /** Cuts all connections and refuses new ones. */
  async close(): Promise<void> {
    const server = this.#listening
    this.#listening = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  #pass(incoming: IncomingMessage, response: ServerResponse, waits: boolean): void {
    const exchange = new S3Exchange(incoming, response, this.#target, waits)
    this.#records.push(exchange.record)
    // Either side may go away at any time: that is what a proxy is for here.
    for (const stream of [incoming, response]) stream.on('error', () => {})
    this.#handle(exchange).catch((error: unknown) => {
      if (!isBrokenConnection(error))
        console.error(`${exchange.request.operation} in a proxy for tests:`, error)
      exchange.reset()
    })
  }

  async stop(): Promise<void> {
    await this.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

const brokenConnection =
  /^(ECONNRESET|ECONNREFUSED|EPIPE|ERR_STREAM_PREMATURE_CLOSE|ERR_STREAM_DESTROYED|ABORT_ERR)$/

function isBrokenConnection(error: unknown): boolean {
  return error instanceof Error && 'code' in error && brokenConnection.test(String(error.code))
}
