import type { Readable } from 'node:stream'
import { Agent, request } from 'undici'
import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { headersFor, isRedirect, redirectTarget } from './redirect.ts'
import { RegistryBody } from './registry-body.ts'

/** How long a registry may take, in milliseconds. */
export interface RegistryPatience {
  readonly connectMs: number
  /** Silence before or within an answer. */
  readonly silenceMs: number
  /** A whole manifest, config or token: a byte now and then is not silence, and yet it never ends. */
  readonly documentMs: number
}

export const defaultPatience: RegistryPatience = Object.freeze({
  connectMs: 15_000,
  silenceMs: 60_000,
  documentMs: 120_000,
})

const maxRedirects = 5

interface DocumentLimits extends Abortable {
  /** Bytes. */
  readonly limit: number
}

interface OneRequest extends Abortable {
  readonly method?: 'GET' | 'HEAD' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | null
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
export function openConnections(patience: RegistryPatience): Agent {
  return new Agent({
    connect: { timeout: patience.connectMs },
    headersTimeout: patience.silenceMs,
    bodyTimeout: patience.silenceMs,
  })
}

/** HTTP to one registry and to where it sends us, with every failure a DomainError that names the registry. */
export class RegistryTransport {
  readonly #registry: string
  readonly #patience: RegistryPatience
  readonly #agent: Agent

  /** @param connections of {@link openConnections}; not owned. */
  constructor(registry: string, patience: RegistryPatience, connections: Agent) {
    this.#registry = registry
    this.#patience = patience
    this.#agent = connections
  }

  /**
   * GET, following redirects; any final status is an answer. The caller reads or destroys the body.
   * @throws DomainError `unavailable`, `unsupported` for a redirect that is not followed.
   */
  async get(
    url: URL,
    headers: Readonly<Record<string, string>>,
    { signal }: Abortable,
  ): Promise<RegistryAnswer> {
    let target = url
    for (let hops = 0; hops <= maxRedirects; hops += 1) {
      const answer = await this.#send(target, { headers: headersFor(target, url, headers), signal })
      if (!isRedirect(answer.status)) return answer
      answer.body.destroy()
      target = redirectTarget(target, answer.header('location'))
    }
    throw this.#unavailable(`redirects more than ${maxRedirects} times`)
  }

  /** The same for a small document, read whole. @throws also DomainError `too_large` for more than `limit` bytes. */
  async getDocument(
    url: URL,
    headers: Readonly<Record<string, string>>,
    options: DocumentLimits,
  ): Promise<RegistryDocument> {
    return await this.#readDocument(options, signal => this.get(url, headers, { signal }))
  }

  /** One HEAD; a redirect is an answer like others. @throws as {@link get}. */
  async head(
    url: URL,
    headers: Readonly<Record<string, string>>,
    options: Abortable,
  ): Promise<RegistryDocument> {
    return await this.#readDocument({ ...options, limit: 0 }, signal =>
      this.#send(url, { method: 'HEAD', headers, signal }),
    )
  }

  /** One POST of a form that may hold secrets, so no redirect is followed. @throws as {@link getDocument}. */
  async postForm(url: URL, form: URLSearchParams, options: DocumentLimits): Promise<RegistryDocument> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return await this.#readDocument(options, signal =>
      this.#send(url, { method: 'POST', headers, body: form.toString(), signal }),
    )
  }

  async #readDocument(
    { limit, signal }: DocumentLimits,
    answerOf: (signal: AbortSignal) => Promise<RegistryAnswer>,
  ): Promise<RegistryDocument> {
    const { documentMs } = this.#patience
    const late = AbortSignal.timeout(documentMs)
    try {
      const both = AbortSignal.any(signal === undefined ? [late] : [late, signal])
      const answer = await answerOf(both)
      return { ...answer, bytes: await this.#readAll(answer.body, limit) }
    } catch (cause) {
      signal?.throwIfAborted()
      if (late.aborted) throw this.#unavailable(`sent no whole document in ${documentMs} ms`, cause)
      throw cause
    }
  }

  async #send(
    url: URL,
    { method = 'GET', headers, body = null, signal }: OneRequest,
  ): Promise<RegistryAnswer> {
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        method,
        headers: { 'accept-encoding': 'identity', ...headers },
        body,
        signal: signal ?? null,
      })
      return {
        status: answer.statusCode,
        header: name => [answer.headers[name]].flat().at(-1),
        url,
        body: new RegistryBody(answer.body, error =>
          asError(this.#convert(error, 'broke off its answer', url)),
        ),
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#convert(error, 'does not answer', url)
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

/** Node joins the failures of several addresses of one host, without a message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message || error.name : String(error)
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}
