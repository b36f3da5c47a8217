import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  readonly path: string
  readonly query: URLSearchParams
  readonly authorization: string | undefined
}

/** An HTTP server that does what a test says, and remembers what it was asked. */
export interface ScriptedServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly seen: readonly SeenRequest[]
  /** What was asked for at a path. */
  at(path: string): SeenRequest[]
}

export type Script = (request: SeenRequest, response: ServerResponse) => void

export async function serveScript(script: Script): Promise<ScriptedServer> {
  const seen: SeenRequest[] = []
  const server = createServer((request: IncomingMessage, response) => {
    const url = new URL(request.url ?? '', 'http://scripted')
    const { authorization } = request.headers
    const one = { path: url.pathname, query: url.searchParams, authorization }
    seen.push(one)
    script(one, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: `127.0.0.1:${port}`,
    seen,
    at: path => seen.filter(one => one.path === path),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
