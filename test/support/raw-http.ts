import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A connection on which a test writes HTTP by hand. */
export interface RawConnection {
  readonly socket: Socket
  /** Everything that has arrived so far. */
  received(): string
  /** Resolves when what has arrived matches; rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>
  /** Resolves with everything that arrived, once the other side has ended or cut the connection. */
  ended(): Promise<string>
}

/** @param url of the server, such as `http://127.0.0.1:5000`. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  let text = ''
  let over = false
  const finish = () => {
    over = true
  }
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
  })
  socket.on('error', finish).on('end', finish).on('close', finish)
  const change = () =>
    new Promise<void>(resolve => {
      const done = () => {
        for (const name of ['data', 'end', 'close', 'error']) socket.off(name, done)
        resolve()
      }
      for (const name of ['data', 'end', 'close', 'error']) socket.on(name, done)
    })
  return {
    socket,
    received: () => text,
    until: async pattern => {
      while (!pattern.test(text)) {
        if (over) throw new Error(`the connection ended before ${pattern} came; there was: ${text}`)
        await change()
      }
      return text
    },
    ended: async () => {
      while (!over) await change()
      return text
    },
  }
}

/** Writes until the other side has taken everything or the connection is over; answers how many bytes went out. */
export async function writePatiently(
  socket: Socket,
  total: number,
  chunk = Buffer.alloc(64 * 1024),
): Promise<number> {
  let written = 0
  while (written < total && socket.writable) {
    const free = socket.write(chunk.subarray(0, Math.min(chunk.length, total - written)))
    written += chunk.length
    if (!free) await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {})
  }
  return written
}
