import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import { connect, type Socket } from 'node:net'

export interface ForwardProxy extends AsyncDisposable {
  readonly url: URL
  /** `METHOD target`, of requests and of tunnels. */
  readonly seen: string[]
  /** `Proxy-Authorization` of each. */
  readonly authorizations: (string | undefined)[]
}

/** An HTTP proxy (RFC 9110, 9.3.6 and RFC 9112, 3.2.2) that leads every name to the own machine. */
export async function startForwardProxy(): Promise<ForwardProxy> {
  const seen: string[] = []
  const authorizations: (string | undefined)[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '')
    seen.push(`${request.method} ${target.href}`)
    authorizations.push(request.headers['proxy-authorization'])
    const { method, headers } = request
    const onward = send(
      { host: '127.0.0.1', port: target.port, path: target.pathname + target.search, method, headers },
      answer => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      },
    )
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  server.on('connect', (request, client: Socket) => {
    seen.push(`CONNECT ${request.url}`)
    authorizations.push(request.headers['proxy-authorization'])
    const upstream = connect(Number(new URL(`http://${request.url}`).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(client)
      client.pipe(upstream)
    })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {
        client.destroy()
        upstream.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    url: new URL(`http://127.0.0.1:${address.port}`),
    seen,
    authorizations,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
