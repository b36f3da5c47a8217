import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'

/** Answers instead of the registry behind; false: it shall answer itself. */
export type Answers = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>

/** In front of a real registry: counts what it is asked, and can be made to lie. */
export interface CountedUpstream extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  /** `METHOD /path?query`, in the order in which they came; without `GET /v2/`. */
  readonly asked: string[]
  /** Of the last request that had one. */
  readonly authorizations: (string | undefined)[]
  answers: Answers | undefined
  /** What was asked since the last time. */
  take(): string[]
  /** Refuses connections, and cuts those that there are. */
  stop(): Promise<void>
  /** Takes connections again, at the same address. */
  start(): Promise<void>
}

export async function countUpstream(url?: string): Promise<CountedUpstream> {
  const asked: string[] = []
  const authorizations: (string | undefined)[] = []
  const upstream: { answers: Answers | undefined } = { answers: undefined }
  const server = createServer((incoming, response) => {
    const line = `${incoming.method} ${incoming.url}`
    if (incoming.url !== '/v2/') asked.push(line)
    authorizations.push(incoming.headers.authorization)
    void (async () => {
      if ((await upstream.answers?.(incoming, response)) === true) return
      if (url === undefined) {
        response.writeHead(404).end()
        return
      }
      forward(url, incoming, response)
    })()
  })
  const listen = async (at: number): Promise<void> => {
    server.listen(at, '127.0.0.1')
    await once(server, 'listening')
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    asked,
    authorizations,
    get answers() {
      return upstream.answers
    },
    set answers(answers) {
      upstream.answers = answers
    },
    take: () => asked.splice(0),
    stop,
    start: () => listen(port),
    [Symbol.asyncDispose]: stop,
  }
}

function forward(url: string, incoming: IncomingMessage, response: ServerResponse): void {
  const onwards = request(url + (incoming.url ?? ''), {
    method: incoming.method,
    headers: { ...incoming.headers, host: new URL(url).host },
  })
  onwards.on('response', answer => {
    if (response.destroyed) {
      answer.destroy()
      return
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    pipeline(answer, response, () => {})
  })
  onwards.on('error', () => response.destroy())
  pipeline(incoming, onwards, () => {})
}
