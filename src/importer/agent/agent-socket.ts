import { lstat, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { DomainError, errnoOf } from '../../errors.ts'

/** Makes room for a new agent. @throws DomainError `conflict` for a live agent's socket, and for what is no socket. */
export async function removeDeadSocket(socket: string): Promise<void> {
  const info = await lstat(socket).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (info === undefined) return
  if (!info.isSocket())
    throw new DomainError(
      'conflict',
      `${socket} is there and is no socket; name another one with --socket.`,
      {
        resource: 'config',
        name: socket,
      },
    )
  if (await answers(socket))
    throw new DomainError('conflict', `An agent is already listening on ${socket}.`, {
      resource: 'config',
      name: socket,
    })
  await rm(socket, { force: true })
}

/** Whether somebody accepts connections there. */
export function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    const connection = connect(socket, () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', () => resolve(false))
  })
}
