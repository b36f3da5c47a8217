import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface Sent {
  readonly method: string
  readonly path: string
  /** As it is, when it is text; else as JSON. */
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** One request over the agent's unix socket, as any HTTP client makes it. */
export async function sendTo(socketPath: string, { method, path, body, headers }: Sent): Promise<Answered> {
  return await new Promise((resolve, reject) => {
    const sending = httpRequest(
      { socketPath, method, path, agent: false, ...(headers === undefined ? {} : { headers }) },
      response => {
        text(response).then(
          answer => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: answer }),
          reject,
        )
      },
    )
    sending.on('error', reject)
    sending.end(
      body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    )
  })
}
