import { Agent, request } from 'undici'
import { rootCertificates } from 'node:tls'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { version } from '../../../version.ts'

export interface ProviderRequest {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

export interface ProviderAnswer {
  readonly status: number
  readonly contentType: string | undefined
  readonly bytes: Buffer
}

export interface ProviderTransportOptions {
  /** Names the provider in errors. */
  readonly name: string
  /** What it is, in errors; an OpenID provider unless given. */
  readonly kind?: string | undefined
  /** PEM, beside the usual authorities. */
  readonly ca?: string | undefined
  /** For a whole answer, in milliseconds; 5,000 unless given: docker waits 15 seconds for a token. */
  readonly timeoutMs?: number | undefined
}

/** Bytes of an answer: a provider's keys have a few thousand. */
const maxAnswer = 512 * 1024

/**
 * HTTP to an OpenID provider, with every failure a DomainError that names it. Redirects are not followed, so that
 * neither keys nor secrets come from, or go to, anywhere that the configuration or the provider has not named.
 */
export class ProviderTransport implements AsyncDisposable {
  readonly #name: string
  readonly #kind: string
  readonly #timeoutMs: number
  readonly #agent: Agent

  constructor({ name, kind = 'OpenID provider', ca, timeoutMs = 5_000 }: ProviderTransportOptions) {
    this.#name = name
    this.#kind = kind
    this.#timeoutMs = timeoutMs
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connections: 4,
    })
  }

  /** Any status is an answer. @throws DomainError `unavailable`. */
  async send(url: URL, message: ProviderRequest, { signal }: Abortable = {}): Promise<ProviderAnswer> {
    const late = AbortSignal.timeout(this.#timeoutMs)
    const either = AbortSignal.any(signal === undefined ? [late] : [late, signal])
    try {
      const answer = await request(url, {
        method: message.method,
        dispatcher: this.#agent,
        signal: either,
        headers: { ...message.headers, 'user-agent': `varve/${version}`, 'accept-encoding': 'identity' },
        body: message.body ?? null,
      })
      const contentType = [answer.headers['content-type']].flat()[0]
      return { status: answer.statusCode, contentType, bytes: await this.#readAll(answer.body) }
    } catch (error) {
      signal?.throwIfAborted()
      if (isDomainError(error)) throw error
      const why = late.aborted ? `no answer in ${this.#timeoutMs} ms` : reasonOf(error)
      throw this.unavailable(`${why}, from ${url.origin}`, error)
    }
  }

  /** @throws DomainError `unavailable`, for any status but 200 and for what is no JSON object, too. */
  async getJson(url: URL, options?: Abortable): Promise<Record<string, unknown>> {
    const { status, bytes } = await this.send(
      url,
      { method: 'GET', headers: { accept: 'application/json' } },
      options,
    )
    if (status !== 200) throw this.unavailable(`${url.origin}${url.pathname} was answered with ${status}`)
    const value = jsonIn(bytes)
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.unavailable(`${url.origin}${url.pathname} is no JSON object`)
    return { ...value }
  }

  /** @param why in a few words; nothing secret. */
  unavailable(why: string, cause?: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `The ${this.#kind} ${this.#name} cannot be asked now: ${why}.`,
      { resource: 'account', name: this.#name, retryAfterSeconds: 5 },
      { cause },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #readAll(body: AsyncIterable<unknown>): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length
      // Leaving the loop gives up the answer and its connection.
      if (size > maxAnswer) throw this.unavailable(`it sends more than ${maxAnswer} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Node joins the failures of several addresses of one host, without a message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message || error.name : String(error)
}
