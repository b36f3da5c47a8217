import { chmod } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type Koa from 'koa'
import { DomainError } from '../../errors.ts'
import { removeDeadSocket } from './agent-socket.ts'

/** A listening agent. */
export interface AgentServer {
  readonly socket: string
  /** Stops accepting, ends what runs, removes the socket. */
  close(): Promise<void>
}

/**
 * Listens on a unix socket that only this user may open: whoever can talk to the agent can make and destroy datasets.
 * A socket that a dead agent has left behind is replaced. @throws DomainError `conflict` when a live agent has it.
 */
export async function serveAgent(app: Koa, socket: string): Promise<AgentServer> {
  await removeDeadSocket(socket)
  const callback = app.callback()
  const server = createServer((request, response) => void callback(request, response))
  // Imports take as long as they take; a silent client is cut by the operating system's own limits.
  server.requestTimeout = 0
  await listen(server, socket)
  return {
    socket,
    close: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: Server, socket: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new DomainError(
          'unavailable',
          `The agent cannot listen on ${socket}: ${cause.message}.`,
          { resource: 'config', name: socket },
          { cause },
        ),
      ),
    )
    server.listen(socket, resolve)
  })
  await chmod(socket, 0o600)
}
