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

/** HTTP to one registry and to where it sends us, with every failure a DomainError that names the registry. */
export class RegistryTransport implements AsyncDisposable {
  readonly #registry: string
  readonly #patience: RegistryPatience
  readonly #agent: Agent

  constructor(registry: string, patience: RegistryPatience) {
    this.#registry = registry
    this.#patience = patience
    this.#agent = new Agent({
      connect: { timeout: patience.connectMs },
      headersTimeout: patience.silenceMs,
      bodyTimeout: patience.silenceMs,
    })
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
      const answer = await this.#getOnce(target, headersFor(target, url, headers), signal)
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
    { limit, signal }: Abortable & { readonly limit: number },
  ): Promise<RegistryDocument> {
    const { documentMs } = this.#patience
    const late = AbortSignal.timeout(documentMs)
    try {
      const both = AbortSignal.any(signal === undefined ? [late] : [late, signal])
      const answer = await this.get(url, headers, { signal: both })
      return { ...answer, bytes: await this.#readAll(answer.body, limit) }
    } catch (cause) {
      signal?.throwIfAborted()
      if (late.aborted) throw this.#unavailable(`sent no whole document in ${documentMs} ms`, cause)
      throw cause
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #getOnce(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<RegistryAnswer> {
    try {
      const {
        statusCode,
        headers: answered,
        body,
      } = await request(url, {
        dispatcher: this.#agent,
        headers: { 'accept-encoding': 'identity', ...headers },
        signal: signal ?? null,
      })
      return {
        status: statusCode,
        header: name => [answered[name]].flat().at(-1),
        url,
        body: new RegistryBody(body, error => asError(this.#convert(error, 'broke off its answer', url))),
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
