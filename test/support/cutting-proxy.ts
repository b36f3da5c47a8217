import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  /** How many connections it has cut. */
  readonly cuts: number
}

/**
 * Passes connections on to a server and cuts the first one that has answered `afterBytes`, or was sent as many, once, as a
 * network does in the middle of a large download or upload.
 */
export async function startCuttingProxy(
  url: string,
  afterBytes: number,
  counted: 'answers' | 'requests' = 'answers',
): Promise<CuttingProxy> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  let cuts = 0
  const server = createServer(client => {
    const upstream = connect(Number(port), hostname)
    const end = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.pipe(upstream)
    let passed = 0
    const sender = counted === 'answers' ? upstream : client
    sender.on('data', (chunk: Buffer) => {
      passed += chunk.length
      if (cuts > 0 || passed < afterBytes) return
      cuts += 1
      end()
    })
    upstream.pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    host: `127.0.0.1:${address.port}`,
    get cuts() {
      return cuts
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
