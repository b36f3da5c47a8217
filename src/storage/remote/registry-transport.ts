import type { Readable } from 'node:stream'
import { errors, request } from 'undici'
import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { type ConnectionOptions, RemoteConnections } from './connections.ts'
import { DocumentClock } from './document-clock.ts'
import { headersFor, isRedirect, redirectTarget } from './redirect.ts'
import { RegistryBody } from './registry-body.ts'
import type { RemoteRequest } from './remote-registries.ts'
import { Traffic } from './traffic.ts'

/** How long a registry may take, in milliseconds. */
export interface RegistryPatience {
  readonly connectMs: number
  /** Silence before or within an answer. */
  readonly silenceMs: number
  /** A whole small answer, or the headers of any, from when all was sent: a byte now and then is not silence, and yet it never ends. */
  readonly documentMs: number
  /** Within this a blob has to get on, at the slowest pace that is borne. */
  readonly paceMs: number
}

export const defaultPatience: RegistryPatience = Object.freeze({
  connectMs: 15_000,
  silenceMs: 60_000,
  documentMs: 120_000,
  paceMs: 60_000,
})

const maxRedirects = 5
/** Slower than any line that could carry an image. */
const minBytesPerSecond = 1024

export interface TransportRequest extends Abortable {
  readonly url: URL
  /** Where the registry is that is asked, or that has sent us to `url`. */
  readonly registry: URL
  readonly what: RemoteRequest['what']
  /** GET unless given. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | Uint8Array | Readable | undefined
  /** Whether redirects are followed; otherwise they are answers like others. */
  readonly follow?: boolean | undefined
}

export interface RegistryAnswer {
  readonly status: number
  /** The last one where a header came several times. */
  header(name: string): string | undefined
  /** Where the answer came from after all redirects. */
  readonly url: URL
  /** The bytes as they were sent: blobs are named by the digest of these, so nothing is inflated. */
  readonly body: Readable
}

export interface RegistryDocument {
  readonly status: number
  header(name: string): string | undefined
  readonly url: URL
  readonly bytes: Buffer
}

/** Connections to registries; those that nobody uses are closed. Whoever opens them destroys them. */
export function openConnections(patience: RegistryPatience, options?: ConnectionOptions): RemoteConnections {
  return new RemoteConnections(patience, options)
}

/** HTTP to one registry and to where it sends us, with every failure a DomainError that names the registry. */
export class RegistryTransport {
  readonly traffic: Traffic
  readonly #registry: string
  readonly #patience: RegistryPatience
  readonly #connections: RemoteConnections

  /** @param connections of {@link openConnections}; not owned. */
  constructor(
    registry: string,
    patience: RegistryPatience,
    connections: RemoteConnections,
    traffic: Traffic = new Traffic(),
  ) {
    this.#registry = registry
    this.#patience = patience
    this.#connections = connections
    this.traffic = traffic
  }

  /**
   * Any final status is an answer. The caller reads or destroys the body. Redirects lose the credentials where they leave
   * the origin.
   * @throws DomainError `unavailable`, `unsupported` for a redirect that is not followed, `denied` for one to an address
   * that the registry may not send us to.
   */
  async open(ask: TransportRequest): Promise<RegistryAnswer> {
    return await this.#open(ask, () => {})
  }

  /** The same for a small document, read whole. @throws also DomainError `too_large` for more than `limit` bytes. */
  async read(ask: TransportRequest, limit: number): Promise<RegistryDocument> {
    const { documentMs } = this.#patience
    using clock = new DocumentClock(documentMs, ask.signal)
    try {
      const answer = await this.#open({ ...ask, signal: clock.signal }, () => clock.start())
      return { ...answer, bytes: await this.#readAll(answer.body, limit) }
    } catch (cause) {
      ask.signal?.throwIfAborted()
      if (clock.hasRunOut) throw this.#unavailable(`sent no whole document in ${documentMs} ms`, cause)
      throw cause
    }
  }

  /** @param onSent called when it is the registry's turn, at the latest when it answers. */
  async #open(ask: TransportRequest, onSent: () => void): Promise<RegistryAnswer> {
    // A body that we send waits for one that we read, which has a place already.
    const isHeld = ask.what !== 'token' && !isStream(ask.body)
    const leave = isHeld ? await this.traffic.place(ask) : () => {}
    try {
      const answer = await this.#follow(ask, onSent)
      onSent()
      if (answer.body.closed) leave()
      else answer.body.once('close', leave)
      return answer
    } catch (error) {
      leave()
      throw error
    }
  }

  async #follow(ask: TransportRequest, onSent: () => void): Promise<RegistryAnswer> {
    const { url, headers = {}, body, follow = false } = ask
    await this.traffic.turn(ask)
    if (isStream(body)) body.once('close', onSent)
    else onSent()
    let target = url
    for (let hops = 0; hops <= maxRedirects; hops += 1) {
      const answer = await this.#send(target, { ...ask, headers: headersFor(target, url, headers) })
      if (!follow || !isRedirect(answer.status)) return answer
      answer.body.destroy()
      target = redirectTarget(target, answer.header('location'))
    }
    throw this.#unavailable(`redirects more than ${maxRedirects} times`)
  }

  async #send(url: URL, ask: TransportRequest): Promise<RegistryAnswer> {
    const { method = 'GET', headers, body = null, signal, registry, what } = ask
    const told = { host: url.host, method, what }
    const { documentMs, paceMs } = this.#patience
    const late = new AbortController()
    // Headers that never end are no silence either. What is sent as a stream may take long before there are any.
    const timer = isStream(ask.body) ? undefined : setTimeout(() => late.abort(), documentMs)
    try {
      const answer = await request(url, {
        dispatcher: this.#connections.to(url, registry),
        method,
        headers: { 'user-agent': this.#connections.userAgent, 'accept-encoding': 'identity', ...headers },
        body,
        signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        headersTimeout: this.#patience.silenceMs,
        bodyTimeout: this.#patience.silenceMs,
        ...(method === 'HEAD' && this.#connections.staysAfterHead(url) && { reset: false }),
      })
      const header = (name: string): string | undefined => [answer.headers[name]].flat().at(-1)
      this.traffic.answered({ ...told, status: answer.statusCode }, header)
      const isBlob = what === 'blob' && method === 'GET'
      const bytes = new RegistryBody(
        answer.body,
        error => asError(this.#convert(error, 'broke off its answer', url)),
        isBlob
          ? { onBytes: count => this.traffic.bytes('received', count), minBytesPerSecond, windowMs: paceMs }
          : undefined,
      )
      return { status: answer.statusCode, header, url, body: bytes }
    } catch (error) {
      signal?.throwIfAborted()
      this.traffic.answered({ ...told, status: 0 })
      if (late.signal.aborted) throw this.#unavailable(`sent no whole headers in ${documentMs} ms`, error)
      // The rest of an earlier answer, perhaps.
      const isGarbled = error instanceof errors.HTTPParserError
      if (isGarbled && this.#connections.noteGarbled(url) && (method === 'GET' || method === 'HEAD'))
        return await this.#send(url, ask)
      throw this.#convert(error, 'does not answer', url)
    } finally {
      clearTimeout(timer)
    }
  }

  async #readAll(body: Readable, limit: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit)
        throw new DomainError(
          'too_large',
          `The registry ${this.#registry} sent more than ${limit} bytes where a small document belongs.`,
          { resource: 'registry', name: this.#registry },
        )
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  #convert(error: unknown, what: string, url: URL): unknown {
    if (isAbort(error) || isDomainError(error)) return error
    return this.#unavailable(`${what} (${url.origin}: ${reasonOf(error)})`, error)
  }

  #unavailable(what: string, cause?: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `The registry ${this.#registry} ${what}.`,
      { resource: 'registry', name: this.#registry },
      { cause },
    )
  }
}

function isStream(body: TransportRequest['body']): body is Readable {
  return typeof body === 'object' && !(body instanceof Uint8Array)
}

/** Node joins the failures of several addresses of one host, without a message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message || error.name : String(error)
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}
