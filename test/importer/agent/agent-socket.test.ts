/** Whose socket it is: an agent's that lives, a dead one's, or nobody's business. */
import assert from 'node:assert/strict'
import { lstatSync } from 'node:fs'
import { connect, createServer, Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { serveAgent } from '../../../src/importer/agent/agent-server.ts'
import { answers } from '../../../src/importer/agent/agent-socket.ts'
import { agentOver } from '../../support/agent.ts'
import { answeringService } from '../../support/agent-answers.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe("An agent's socket", () => {
  let directory: TemporaryDirectory
  let socket: string

  beforeEach(async () => {
    directory = await temporaryDirectory()
    socket = join(directory.path, 'agent.sock')
  })
  afterEach(() => directory.remove())

  it('is not taken for a dead one while too many wait for it to accept them', async () => {
    const server = createServer(accepted => accepted.on('error', () => undefined))
    await new Promise<void>(resolve => server.listen({ path: socket, backlog: 1 }, resolve))
    // Nobody accepts them before this is asked: that takes another turn of the event loop.
    const waiting: Socket[] = []
    for (let index = 0; index < 8; index += 1) waiting.push(connect(socket).on('error', () => undefined))
    const hasAgent = await answers(socket)
    for (const one of waiting) one.destroy()
    server.close()
    assert.equal(hasAgent, true)
  })

  it('is closed to others from the moment it is there', async () => {
    await using agent = await agentOver(answeringService())
    const modes: number[] = []
    const umask = process.umask(0)
    // oxlint-disable-next-line typescript/unbound-method -- called with the server that it is a method of
    const original = Server.prototype.listen
    const listen = mock.method(Server.prototype, 'listen', function (this: Server, ...args: never[]): Server {
      Reflect.apply(original, this, args)
      modes.push(lstatSync(socket).mode)
      return this
    })
    try {
      const server = await serveAgent(agent.app, socket)
      await server.close()
      assert.equal(process.umask(), 0)
    } finally {
      listen.mock.restore()
      process.umask(umask)
    }
    assert.deepEqual(
      modes.map(mode => mode & 0o177),
      [0],
    )
  })
})
