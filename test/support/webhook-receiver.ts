import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { onFreePort } from './free-port.ts'

export interface ReceivedMessage {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** What the receiver has answered; undefined when it took the message and cut the connection. */
  readonly status: number | undefined
}

/**
 * What to do with a request: a status, to cut the connection before or after the message was taken, never to answer,
 * or to take the message and never to end the answer.
 */
export type Verdict = number | 'cut' | 'take and cut' | 'hang' | 'endless'

/** An HTTP server on a port of its own that keeps what it is sent, and may be down for a while. */
export class WebhookReceiver implements AsyncDisposable {
  readonly messages: ReceivedMessage[] = []
  /** Asked for each request. */
  decide: (received: number, request: IncomingMessage) => Verdict = () => 204
  #server: Server | undefined
  #port = 0
  #requests = 0

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver()
    await onFreePort(async port => {
      receiver.#port = port
      await receiver.up()
    })
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hook`
  }

  /** Requests that came, taken or not. */
  get requests(): number {
    return this.#requests
  }

  /** Starts it again, on the same port. */
  async up(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response))
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
  }

  /** Refuses connections, and cuts those that there are. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    server?.closeAllConnections()
    await new Promise<void>(resolve => (server === undefined ? resolve() : server.close(() => resolve())))
  }

  /** Waits until what has been taken is as wanted. */
  async until(isEnough: (messages: readonly ReceivedMessage[]) => boolean): Promise<void> {
    while (!isEnough(this.messages)) await new Promise(resolve => setTimeout(resolve, 10))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const verdict = this.decide(this.#requests++, request)
    if (verdict === 'cut') return void request.destroy()
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    } catch {
      return
    }
    if (verdict === 'hang') return
    const status = typeof verdict === 'number' ? verdict : undefined
    if (status === undefined || status < 300)
      this.messages.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), status })
    if (verdict === 'endless') response.writeHead(200).write(Buffer.alloc(1_000_000))
    else if (status === undefined) response.destroy()
    else response.writeHead(status).end('a receiver says this')
  }
}

/** The events of distribution's envelopes, one after another. */
export function distributionEvents(messages: readonly ReceivedMessage[]): DistributionEvent[] {
  return messages.flatMap(({ body }) => (JSON.parse(body) as { events: DistributionEvent[] }).events)
}

export interface DistributionEvent {
  readonly id: string
  readonly action: string
  readonly target: { readonly repository: string; readonly digest?: string; readonly tag?: string }
}

/** Without those that came before: a receiver drops repeats by their ids. */
export function withoutRepeats<Event extends { readonly id: string }>(events: readonly Event[]): Event[] {
  return [...new Map(events.toReversed().map(event => [event.id, event])).values()].toReversed()
}
