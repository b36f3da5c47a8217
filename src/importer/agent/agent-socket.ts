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

/** Whether somebody accepts connections there. @throws DomainError `denied` when that cannot be found out. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket, () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', cause => {
      const errno = errnoOf(cause)
      if (errno === 'EACCES') reject(closedToOthers(socket, cause))
      // So many wait to be accepted (connect(2)) that it must be somebody's.
      else resolve(errno === 'EAGAIN')
    })
  })
}

export function closedToOthers(socket: string, cause: unknown): DomainError {
  return new DomainError(
    'denied',
    `Only root and the user of the agent may use ${socket}; become one of them.`,
    { resource: 'config', name: socket },
    { cause },
  )
}
