import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 on which nothing listens. It is below those that Linux gives to connections (32768 and up:
 * `ip_local_port_range`), so a server that stops and starts again still finds it free.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(15_000, 32_000)
    if (await isFree(port)) return port
  }
  throw new Error('no free port between 15000 and 32000 in 100 attempts')
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

/**
 * Starts a server on a free port. Another process may take the port before the server does, so what fails is
 * tried again on another one.
 *
 * @throws what the last attempt threw.
 */
export async function onFreePort<Server>(start: (port: number) => Promise<Server>): Promise<Server> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === 3) throw error
    }
}
