import { chmod } from 'node:fs/promises'
import { createServer } from 'node:http'
import { isIPv6, type ListenOptions, type Server } from 'node:net'
import type Koa from 'koa'
import { DomainError } from '../../errors.ts'
import type { RenewalOptions } from '../../tls/renew-certificates.ts'
import { createSecureServer } from '../../tls/secure-server.ts'
import type { TlsFiles } from '../../tls/tls-files.ts'
import { removeDeadSocket } from './agent-socket.ts'
import { defaultListenerLimits, Listener, type ListenerLimits, serverOptions } from './http/listener.ts'

/** A listening agent. */
export interface AgentServer {
  /** Stops accepting, lets requests end, ends what is followed. Idempotent. */
  close(): Promise<void>
}

export interface SocketServer extends AgentServer {
  readonly socket: string
}

export interface AddressServer extends AgentServer {
  /** `https://host:port`, as it is bound. */
  readonly url: string
}

export interface ServeOnAddress {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Without it what is said can be read on the way. */
  readonly tls?: TlsFiles | undefined
}

/**
 * Listens on a unix socket that only this user may open: whoever can talk to the agent can make and destroy datasets.
 * A socket that a dead agent has left behind is replaced. @throws DomainError `conflict` when a live agent has it.
 */
export async function serveAgent(
  app: Koa,
  socket: string,
  limits: ListenerLimits = defaultListenerLimits,
): Promise<SocketServer> {
  await removeDeadSocket(socket)
  const server = createServer(serverOptions(limits))
  const listener = new Listener(server, app.callback(), limits)
  // It is there before its mode can be changed, and must not be open to others until then. Node binds it at once.
  const umask = process.umask(0o177)
  const listening = listen(server, { path: socket }, socket)
  process.umask(umask)
  await listening
  await chmod(socket, 0o600)
  return { socket, close: () => listener.close() }
}

/**
 * Listens on a TCP port. Whether a request may pass is up to `app`.
 * @throws DomainError `unavailable` when the address is not to be had, `invalid` for files that TLS cannot use.
 */
export async function serveAgentOnAddress(
  app: Koa,
  { host, port, tls }: ServeOnAddress,
  limits: ListenerLimits = defaultListenerLimits,
  renewal: RenewalOptions = {},
): Promise<AddressServer> {
  await using opened = new AsyncDisposableStack()
  const http = serverOptions(limits)
  let server: ReturnType<typeof createServer>
  if (tls === undefined) server = createServer(http)
  else
    ({ server } = opened.use(
      await createSecureServer(tls, {
        http,
        handshakeMs: limits.headersMs,
        clientCertificates: 'required',
        renewal,
      }),
    ))
  const listener = new Listener(server, app.callback(), limits)
  await listen(server, { host, port }, `${host}:${port}`)
  const bound = boundAddress(server)
  const owned = opened.move()
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${bound}`,
    close: async () => {
      await owned.disposeAsync()
      await listener.close()
    },
  }
}

async function listen(server: Server, where: ListenOptions, name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (cause: Error): void =>
      reject(
        new DomainError(
          'unavailable',
          `The agent cannot listen on ${name}: ${cause.message}.`,
          { resource: 'config', name },
          { cause },
        ),
      )
    server.once('error', refuse)
    server.listen(where, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

function boundAddress(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the agent has no port')
  return `${isIPv6(address.address) ? `[${address.address}]` : address.address}:${address.port}`
}
