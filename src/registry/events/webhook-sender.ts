import { Agent, request } from 'undici'
import type { Abortable } from '../../storage/abortable.ts'
import type { RegistryEvent } from '../../storage/metadata/event-records.ts'
import { version } from '../../version.ts'
import type { EventEndpoint } from './endpoint.ts'
import type { Envelope } from './envelope.ts'
import { signatureHeaders } from './webhook-signature.ts'

/** How a request to a receiver has ended. */
export interface SendOutcome {
  /** Whether it was answered with 2xx. */
  readonly isDelivered: boolean
  /** Undefined when there was no answer. */
  readonly status?: number | undefined
  /** Why it was not delivered; without its URL, which may be a secret. */
  readonly reason: string
  /** How long the receiver wants to be left alone (RFC 9110, 10.2.3). */
  readonly retryAfterMs?: number | undefined
}

export interface EventSender {
  /** Makes one attempt. Aborts aside it never rejects. */
  send(events: readonly RegistryEvent[], options?: Abortable): Promise<SendOutcome>
}

/** Bytes of an answer that are read, so that its connection can be used again. */
const maxAnswer = 16 * 1024

/** Sends events to one endpoint by POST. Redirects are not followed: they would have our headers and signatures. */
export class WebhookSender implements EventSender, AsyncDisposable {
  readonly #endpoint: EventEndpoint
  readonly #envelope: Envelope
  readonly #agent: Agent

  constructor(endpoint: EventEndpoint, envelope: Envelope) {
    this.#endpoint = endpoint
    this.#envelope = envelope
    const { timeoutMs } = endpoint
    this.#agent = new Agent({
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
  }

  async send(events: readonly RegistryEvent[], { signal }: Abortable = {}): Promise<SendOutcome> {
    signal?.throwIfAborted()
    const { url, secret, headers, timeoutMs } = this.#endpoint
    const { type, body } = this.#envelope.wrap(events)
    const late = AbortSignal.timeout(timeoutMs)
    const either = AbortSignal.any(signal === undefined ? [late] : [late, signal])
    try {
      const answer = await request(url, {
        method: 'POST',
        dispatcher: this.#agent,
        signal: either,
        headers: {
          'user-agent': `varve/${version}`,
          ...headers,
          'content-type': type,
          ...signatureHeaders(secret, messageId(events), Date.now(), body),
        },
        body,
      })
      const status = answer.statusCode
      // What it says besides does not matter any more.
      await answer.body.dump({ limit: maxAnswer, signal: either }).catch(() => {})
      return {
        isDelivered: status >= 200 && status < 300,
        status,
        reason: `it answered ${status}`,
        retryAfterMs: retryAfterMs(answer.headers['retry-after']),
      }
    } catch (error) {
      signal?.throwIfAborted()
      return { isDelivered: false, reason: late.aborted ? `no answer in ${timeoutMs} ms` : reasonOf(error) }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy()
  }
}

/** The same for the same events, so that a receiver can tell a repeat. */
function messageId(events: readonly RegistryEvent[]): string {
  const [first, last] = [events[0], events.at(-1)]
  if (first === undefined || last === undefined) throw new Error('a message without events')
  return first === last ? first.id : `${first.id}.${last.id}`
}

function retryAfterMs(header: string | string[] | undefined): number | undefined {
  const text = [header].flat()[0] ?? ''
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(at - Date.now(), 0)
}

/** Node joins the failures of several addresses of one host, without a message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error ? error.message || error.name : String(error)
}
