import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** What becomes of a connection when a client sends a query that is waited for. */
export type Interference =
  /** Both sides lose it before the server has seen the query. */
  | 'cut'
  /** The client loses it instead of the answer. */
  | 'cut answer'
  /** Nothing goes either way any more, and nobody is told. */
  | 'silence'

export interface QueryProxy extends AsyncDisposable {
  /** The database's URL, by way of the proxy. */
  readonly url: string
  /** The next connection that sends this text meets it. */
  interfere(text: string, interference: Interference): void
  /** How many times it has interfered. */
  readonly count: number
}

/** Stands between PostgreSQL and its clients, and understands just enough of them to do harm at a chosen moment. */
export async function startQueryProxy(databaseUrl: string): Promise<QueryProxy> {
  const target = new URL(databaseUrl)
  const sockets = new Set<Socket>()
  let wanted: { readonly text: string; readonly interference: Interference } | undefined
  let count = 0

  const server = createServer(client => {
    const upstream = connect(Number(target.port), target.hostname)
    let met: Interference | undefined
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
    client.on('data', (bytes: Buffer) => {
      if (wanted !== undefined && met === undefined && bytes.includes(wanted.text)) {
        met = wanted.interference
        wanted = undefined
        count += 1
        if (met === 'cut') return end()
      }
      if (met !== 'silence') upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => {
      if (met === 'cut answer') return end()
      if (met !== 'silence') client.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  const url = new URL(databaseUrl)
  url.port = String(address.port)
  return {
    url: url.href,
    interfere: (text, interference) => {
      wanted = { text, interference }
    },
    get count() {
      return count
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
