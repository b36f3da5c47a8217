import { Agent, request } from 'undici'
import { DomainError, isAbort, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { SecretFile, secretIn } from './credentials/secret-file.ts'
import { type EventLine, eventLinesIn } from './event-lines.ts'
import { jsonObjectIn } from './json-object.ts'

export interface EventStreamOptions {
  /** Where a Varve registry tells what happens, such as `http://127.0.0.1:5001/events`. */
  readonly url: string
  /** A file with a token for whatever stands in front of it. */
  readonly tokenFile?: string | undefined
  /** How long the registry may be silent before it says that there is nothing new. Seconds, at most 60. */
  readonly waitSeconds?: number | undefined
}

export interface EventAnswer {
  /** The position after which it begins. */
  readonly after: number
  /** As they come; breaks off with a DomainError `unavailable`. */
  readonly lines: AsyncIterable<EventLine>
}

/** What a registry sends beside the events of an answer: docs/events.md. */
export const afterHeader = 'varve-events-after'

/** Events of one answer; what is more, the next one has. */
const limit = 1000
const connectMs = 15_000
/** What the answer may take beyond the silence that was asked for. */
const slackMs = 30_000
/** An error's answer is small. Bytes. */
const maxErrorBytes = 64 * 1024

/** The events of another registry, as it tells them: see docs/events.md. */
export class EventStream implements AsyncDisposable {
  readonly #url: URL
  readonly #token: SecretFile<string> | undefined
  readonly #waitSeconds: number
  readonly #agent: Agent

  constructor({ url, tokenFile, waitSeconds = 30 }: EventStreamOptions) {
    this.#url = new URL(url)
    this.#token = tokenFile === undefined ? undefined : new SecretFile(tokenFile, secretIn)
    this.#waitSeconds = waitSeconds
    const silenceMs = waitSeconds * 1000 + slackMs
    this.#agent = new Agent({
      connect: { timeout: connectMs },
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
    })
  }

  /** The position after which the oldest event is that is kept, or that of the newest. @throws as {@link read}. */
  async edge(which: 'oldest' | 'newest', { signal }: Abortable = {}): Promise<number> {
    const brief = { limit: '1', wait: '0' }
    const query = which === 'newest' ? { ...brief, after: 'latest' } : brief
    const { after, lines } = await this.#ask(query, signal)
    for await (const _ of lines);
    return after
  }

  /**
   * The events after a position; it ends when none has come for a while. The caller reads the lines.
   * @throws DomainError `out_of_range` when events after it are gone, or there is no such position, with the oldest position
   * as `details.name`; `unauthorized`, `denied`, `not_found`, `unsupported`, `unavailable`.
   */
  async read(after: number, { signal }: Abortable = {}): Promise<EventAnswer> {
    const query = { after: String(after), limit: String(limit), wait: String(this.#waitSeconds) }
    return await this.#ask(query, signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }

  async #ask(query: Record<string, string>, signal: AbortSignal | undefined): Promise<EventAnswer> {
    const url = new URL(this.#url)
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const token = await this.#token?.content()
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher: this.#agent,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        signal: signal ?? null,
      })
      if (statusCode !== 200) throw this.#refusal(statusCode, await firstBytes(body))
      const after = Number(headers[afterHeader] ?? Number.NaN)
      if (!Number.isSafeInteger(after) || after < 0) {
        body.destroy()
        throw this.#error('unsupported', `is no stream of events (it does not send ${afterHeader})`)
      }
      return { after, lines: this.#lines(body, signal) }
    } catch (error) {
      throw this.#convert(error, signal)
    }
  }

  async *#lines(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<EventLine> {
    try {
      yield* eventLinesIn(body)
    } catch (error) {
      throw this.#convert(error, signal)
    }
  }

  #refusal(status: number, bytes: Uint8Array): DomainError {
    if (status === 410) {
      const oldest = oldestIn(bytes)
      if (oldest !== undefined)
        return new DomainError(
          'out_of_range',
          `The stream ${this.#name} no longer has the events that come next; the oldest is at ${oldest}.`,
          { resource: 'event', name: String(oldest) },
        )
    }
    if (status === 401) return this.#error('unauthorized', 'wants a token, or another one (tokenFile)')
    if (status === 403) return this.#error('denied', 'refuses the token (tokenFile)')
    if (status === 404) return this.#error('not_found', 'is not there')
    return this.#error(status >= 500 || status === 429 ? 'unavailable' : 'unsupported', `answers ${status}`)
  }

  #convert(error: unknown, signal: AbortSignal | undefined): unknown {
    signal?.throwIfAborted()
    if (isAbort(error) || isDomainError(error)) return error
    const reason = error instanceof Error ? error.message || error.name : String(error)
    return this.#error('unavailable', `does not answer (${reason})`, error)
  }

  #error(
    code: 'unauthorized' | 'denied' | 'not_found' | 'unsupported' | 'unavailable',
    what: string,
    cause?: unknown,
  ): DomainError {
    const details = { resource: 'registry', name: this.#name } as const
    return new DomainError(code, `The stream ${this.#name} ${what}.`, details, { cause })
  }

  /** A query may hold a secret. */
  get #name(): string {
    return `${this.#url.origin}${this.#url.pathname}`
  }
}

async function firstBytes(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxErrorBytes) break
  }
  return Buffer.concat(chunks)
}

/** `errors[0].detail.name` of a registry's 410. */
function oldestIn(bytes: Uint8Array): number | undefined {
  const { errors } = jsonObjectIn(bytes) as { readonly errors?: unknown }
  const [first] = Array.isArray(errors) ? (errors as readonly unknown[]) : []
  const name = (first as { readonly detail?: { readonly name?: unknown } } | undefined)?.detail?.name
  return typeof name === 'string' && /^[1-9]\d{0,15}$/.test(name) ? Number(name) : undefined
}
