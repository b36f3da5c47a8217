import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { errnoOf } from '../../src/errors.ts'

export interface RoundRobin extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** How many requests each server has answered, by its URL. */
  readonly answered: ReadonlyMap<string, number>
}

/**
 * Sends each request, and not each connection, to the next server, as a dumb balancer does. Bodies are streamed both
 * ways. A server that takes no connection is passed over; whatever else goes wrong cuts the client's connection, and
 * 502 is the answer when no server is left.
 *
 * @param servers URLs of those that there are at the moment.
 */
export async function startRoundRobin(servers: () => readonly string[]): Promise<RoundRobin> {
  const answered = new Map<string, number>()
  let turn = 0
  const server = createServer((incoming, response) => {
    const urls = servers()
    turn += 1
    const order = urls.map((_, index) => urls[(turn + index) % urls.length] ?? '')
    for (const stream of [incoming, response]) stream.on('error', () => {})
    void passOn(incoming, response, order, url => answered.set(url, (answered.get(url) ?? 0) + 1))
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    answered,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function passOn(
  incoming: IncomingMessage,
  response: ServerResponse,
  order: readonly string[],
  onAnswer: (url: string) => void,
): Promise<void> {
  for (const url of order) {
    const outcome = await tryOne(incoming, response, url)
    if (outcome === 'answering') onAnswer(url)
    if (outcome !== 'refused') return
  }
  response.writeHead(502, { 'Content-Length': 0 }).end()
}

function tryOne(
  incoming: IncomingMessage,
  response: ServerResponse,
  url: string,
): Promise<'answering' | 'refused' | 'broken'> {
  const { promise, resolve } = Promise.withResolvers<'answering' | 'refused' | 'broken'>()
  const { hostname, port } = new URL(url)
  const { method = '', url: path = '', rawHeaders } = incoming
  // A connection for each: one that its server has just given up would be a fault that nobody asked for.
  const headers = [...withoutConnection(rawHeaders)]
  const outgoing = request({ hostname, port, method, path, headers, agent: false })
  const leave = () => outgoing.destroy()
  response.once('close', leave)
  outgoing.once('socket', socket =>
    // Not before: what has been read of the body is lost for the next server.
    socket.once('connect', () => incoming.pipe(outgoing)),
  )
  outgoing.once('response', answer => {
    resolve('answering')
    response.writeHead(answer.statusCode ?? 502, [...withoutConnection(answer.rawHeaders)])
    answer.on('error', () => response.destroy())
    answer.pipe(response)
    // What the server wants no more of must not keep the client from reading.
    answer.once('end', () => incoming.unpipe().resume())
  })
  outgoing.on('error', error => {
    if (errnoOf(error) === 'ECONNREFUSED') {
      response.off('close', leave)
      resolve('refused')
      return
    }
    resolve('broken')
    if (!response.headersSent) incoming.socket.destroy()
  })
  return promise
}

/** Those are about one connection, and there are two. */
function* withoutConnection(rawHeaders: readonly string[]): Iterable<string> {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    if (!/^(?:connection|keep-alive|transfer-encoding)$/i.test(name)) yield* [name, value]
  }
}
