import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { isIPv6, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError } from '../errors.ts'
import { createSecureServer, type SecureServerOptions } from '../tls/secure-server.ts'
import type { TlsFiles } from '../tls/tls-files.ts'
import { Handshakes } from './handshakes.ts'
import { answerMalformed, type Malformed } from './malformed.ts'

export interface ListenAddress {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** All in milliseconds. */
export interface ServerTimeouts {
  /** For a whole request's headers. */
  readonly headersMs: number
  /** How long a connection may wait for its next request: longer than load balancers keep theirs. */
  readonly keepAliveMs: number
  /** How long nothing at all may move on a connection while a request is served, unless it is us who are awaited. */
  readonly idleMs: number
  /** How long running requests may go on after {@link RunningServer.close}. */
  readonly stopMs: number
}

export const defaultServerTimeouts: ServerTimeouts = Object.freeze({
  headersMs: 60_000,
  keepAliveMs: 75_000,
  idleMs: 300_000,
  stopMs: 30_000,
})

/** For a TLS handshake, in milliseconds; containerd waits as long for ours. */
const maxHandshakeMs = 10_000

/** Bytes: tokens with many scopes outgrow Node's default of 16 KiB. */
const maxHeaderSize = 64 * 1024

/** Answers one request; a promise resolves when nothing is done for it any more. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** `http://host:port`, or `https://host:port`. */
  readonly url: string
  /**
   * Stops accepting, waits for running requests (at most `stopMs`), cuts what is left and lets their listeners save
   * what they have (at most `stopMs` again). Then the stores may be closed. Idempotent.
   */
  close(): Promise<void>
}

/** What is needed to speak TLS. */
export interface ServerTls extends Pick<SecureServerOptions, 'clientCertificates' | 'renewal'> {
  readonly files: TlsFiles
}

/**
 * Serves `listener` over HTTP, on TLS where that is given.
 * @throws DomainError `unavailable` when the address is taken or not to be had, `invalid` for files of no use to TLS.
 */
export async function listen(
  listener: Listener,
  address: ListenAddress,
  timeouts: ServerTimeouts = defaultServerTimeouts,
  onMalformed: (malformed: Malformed) => void = () => {},
  tls?: ServerTls,
): Promise<RunningServer> {
  await using opened = new AsyncDisposableStack()
  let closing: Promise<void> | undefined
  const running = new Set<Promise<void>>()
  const answering = new WeakMap<Duplex, ServerResponse>()
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    response.once('close', () => {
      // The connection counts as idle only after Node's own listeners have run.
      if (closing !== undefined) setImmediate(() => server.closeIdleConnections())
    })
    if (closing !== undefined) response.setHeader('Connection', 'close')
    answering.set(request.socket, response)
    keepWhileWeWork(request, response, timeouts.idleMs)
    const work = listener(request, response).finally(() => running.delete(work))
    running.add(work)
  }
  const { server, handshakes } = await createServers(timeouts, tls, opened)
  server.on('request', serve)
  server.timeout = timeouts.idleMs
  // Whoever reads the body sends the 100: a request that is refused never gets one.
  server.on('checkContinue', serve)
  server.on('clientError', (error, socket) => {
    if (handshakes?.isPending(socket) === true) onMalformed(handshakes.refuse(error, socket))
    else if (socket instanceof Socket) onMalformed(answerMalformed(error, socket, answering.get(socket)))
  })
  await bind(server, address)
  const { host, port } = boundAddress(server)
  const owned = opened.move()
  return {
    host,
    port,
    url: `${tls === undefined ? 'http' : 'https'}://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    close: () => {
      closing ??= (async () => {
        await owned.disposeAsync()
        const stopped = stop(server, running, timeouts.stopMs)
        handshakes?.close()
        await stopped
      })()
      return closing
    },
  }
}

interface Servers {
  readonly server: Server
  /** Where there is TLS. */
  readonly handshakes?: Handshakes
}

async function createServers(
  timeouts: ServerTimeouts,
  tls: ServerTls | undefined,
  opened: AsyncDisposableStack,
): Promise<Servers> {
  const http: ServerOptions = {
    maxHeaderSize,
    headersTimeout: timeouts.headersMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    // Node looks for requests that are overdue only so often.
    connectionsCheckingInterval: Math.min(timeouts.headersMs / 2, 15_000),
    // A large layer over a slow line takes hours; what must not happen is that nothing moves.
    requestTimeout: 0,
  }
  if (tls === undefined) return { server: createServer(http) }
  const { files, ...options } = tls
  const handshakeMs = Math.min(timeouts.headersMs, maxHandshakeMs)
  const { server } = opened.use(await createSecureServer(files, { http, handshakeMs, ...options }))
  return { server, handshakes: new Handshakes(server) }
}

/**
 * A connection on which nothing moves because the body has to wait for memory or for the store, or because the answer
 * takes time (a store that puts a large upload together needs minutes), is not an idle one.
 */
function keepWhileWeWork(request: IncomingMessage, response: ServerResponse, idleMs: number): void {
  // That of the request is not told any more when all of it has come.
  response.on('timeout', () => {
    const isOurTurn = request.complete ? !response.headersSent : request.readableFlowing !== true
    if (isOurTurn) request.socket.setTimeout(idleMs)
    else request.socket.destroy()
  })
}

function bind(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (cause: Error) =>
      reject(
        new DomainError(
          'unavailable',
          `Cannot listen on ${host}:${port}: ${cause.message}.`,
          { resource: 'config', name: `${host}:${port}` },
          { cause },
        ),
      )
    server.once('error', refuse)
    server.listen({ host, port }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

function boundAddress(server: Server): ListenAddress {
  const address = server.address()
  if (address === null || typeof address === 'string')
    throw new Error('the server is not bound to a TCP port')
  return { host: address.address, port: address.port }
}

async function stop(server: Server, running: ReadonlySet<Promise<void>>, graceMs: number): Promise<void> {
  await closeConnections(server, graceMs)
  const giveUp = new AbortController()
  const late = sleep(graceMs, undefined, { signal: giveUp.signal }).catch(() => {})
  await Promise.race([Promise.allSettled(running), late])
  giveUp.abort()
}

function closeConnections(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs)
    server.close(error => {
      clearTimeout(cut)
      if (error === undefined) resolve()
      else reject(error)
    })
  })
}
