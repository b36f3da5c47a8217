import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { errnoOf } from '../errors.ts'
import { type Malformed, malformedResponse } from './malformed.ts'

/**
 * Connections to a TLS server that have no TLS on them yet. HTTP knows nothing of them, so it neither answers nor
 * closes them.
 */
export class Handshakes {
  /** By the other end's address and port, which is all that a connection and the TLS on it have in common. */
  readonly #pending = new Map<string, Socket>()

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket)
      if (peer === undefined) return
      this.#pending.set(peer, socket)
      socket.once('close', () => {
        if (this.#pending.get(peer) === socket) this.#pending.delete(peer)
      })
    })
    server.on('secureConnection', socket => this.#pending.delete(peerOf(socket) ?? ''))
  }

  isPending(socket: Duplex): socket is TLSSocket {
    return socket instanceof TLSSocket && this.#pending.has(peerOf(socket) ?? '')
  }

  /** Ends one that has failed. Who speaks HTTP where TLS is spoken is told so, in HTTP. */
  refuse(error: Error, socket: TLSSocket): Malformed {
    const reason = errnoOf(error) ?? error.name
    const connection = this.#pending.get(peerOf(socket) ?? '')
    const peer = socket.remoteAddress
    const isAnswered = reason === 'ERR_SSL_HTTP_REQUEST' && connection?.writable === true
    const { status, text } = malformedResponse(reason)
    if (isAnswered) connection.write(text)
    socket.destroy()
    return { status: isAnswered ? status : undefined, reason, peer }
  }

  /** Cuts all of them. */
  close(): void {
    for (const socket of this.#pending.values()) socket.destroy()
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort}`
}
