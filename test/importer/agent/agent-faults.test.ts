/** An agent with a real importer, and clients, provisioners and registries that do not behave. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http'
import { connect, createServer as createSocketServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { type AgentServer, serveAgent } from '../../../src/importer/agent/agent-server.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import type { ImportEvent } from '../../../src/importer/import-service.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import { importerOver } from '../../support/importer-over.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type ScriptedServer, serveScript } from '../../support/scripted-server.ts'
import { servedImage } from '../../support/served-image.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const image = servedImage()
const web1 = parseCloneName('web1')
const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('an agent under faults', { skip }, () => {
  let directory: TemporaryDirectory
  let registry: ScriptedServer
  let importer: Importer
  let server: AgentServer
  let agent: TestAgent
  /** Resolves when a layer was asked for; layers are answered after `release`. */
  let layerAsked: PromiseWithResolvers<void>
  let release: PromiseWithResolvers<void>

  beforeEach(async () => {
    directory = await temporaryDirectory()
    layerAsked = Promise.withResolvers()
    release = Promise.withResolvers()
    registry = await serveScript(({ path }, response) => {
      const bytes = image.content.get(path)
      if (bytes !== image.layer) {
        response.end(bytes)
        return
      }
      layerAsked.resolve()
      void release.promise.then(() => response.end(bytes))
    })
    const chains = await DirectoryChainStore.open({ directory: chainsDirectory() })
    importer = await importerOver(chains)
    agent = await agentOver(importer)
    server = await serveAgent(agent.app, socket())
  })
  afterEach(async () => {
    release.resolve()
    await server.close()
    await agent[Symbol.asyncDispose]()
    await importer[Symbol.asyncDispose]()
    await registry[Symbol.asyncDispose]()
    await directory.remove()
  })

  const socket = (): string => join(directory.path, 'agent.sock')
  const chainsDirectory = (): string => join(directory.path, 'chains')
  const name = (): string => `${registry.host}/a:1`
  const leftovers = (): string[] =>
    ['building', 'chains', 'clones', 'images', 'locks'].flatMap(part =>
      readdirSync(join(chainsDirectory(), part)).map(entry => `${part}/${entry}`),
    )
  const importIt = (
    signal?: AbortSignal,
    onEvent?: (event: ImportEvent) => void,
  ): Promise<{ readonly imported: number }> =>
    new AgentClient(socket()).import({ image: name(), platform: defaultPlatform }, { signal, onEvent })

  it('goes on for the second client of an image when the first one leaves', async () => {
    const leaving = new AbortController()
    const first = importIt(leaving.signal)
    await layerAsked.promise
    const joined = Promise.withResolvers<void>()
    const second = importIt(undefined, ({ type }) => {
      if (type === 'resolved') joined.resolve()
    })
    await joined.promise
    leaving.abort()
    await assert.rejects(first, { name: 'AbortError' })
    release.resolve()
    assert.equal((await second).imported, 1)
    assert.equal((await importIt()).imported, 0)
  })

  it('leaves nothing when it is stopped during an import', async () => {
    const running = importIt()
    running.catch(() => undefined)
    await layerAsked.promise
    await server.close()
    await importer[Symbol.asyncDispose]()
    await rejectsWith('unavailable', running)
    assert.deepEqual(leftovers(), [])
  })

  it('refuses a clone while the image is being imported, and makes it afterwards', async () => {
    const client = new AgentClient(socket())
    const running = importIt()
    await layerAsked.promise
    await rejectsWith('not_found', client.clone(name(), web1))
    release.resolve()
    await running
    const { rootfs } = await client.clone(name(), web1)
    assert.equal(readFileSync(join(rootfs, 'etc/motd'), 'utf8'), 'hello')
  })

  it('never lets an image be half there when it is imported, cloned and removed at once', async () => {
    release.resolve()
    const client = new AgentClient(socket())
    const outcomes = await Promise.allSettled(
      Array.from({ length: 24 }, async (_, turn) => {
        if (turn % 3 === 0) await importIt()
        else if (turn % 3 === 1) await client.clone(name(), parseCloneName(`zone${turn}`))
        else await client.removeImage(name())
      }),
    )
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        assert.match(String(outcome.reason), /not been imported|in use by|There is no chain/)
    for (const { name: clone, rootfs } of await client.clones()) {
      assert.equal(readFileSync(join(rootfs, 'etc/motd'), 'utf8'), 'hello')
      await client.destroyClone(clone)
    }
    await importIt()
    await client.clone(name(), web1)
    await client.destroyClone(web1)
    await client.removeImage(name())
    assert.deepEqual(leftovers(), [])
  })

  for (const [what, bytes] of [
    ['what is not HTTP', 'garbage\r\n\r\n'],
    ['a path that is no text', 'PUT /v1/clones/%E0%A4%A HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}'],
    ['an unknown method', 'BREW /v1 HTTP/1.1\r\nhost: x\r\n\r\n'],
    [
      'two lengths',
      'POST /v1/imports HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}',
    ],
  ] as const)
    it(`survives a provisioner that sends ${what}`, async () => {
      assert.match(await rawExchange(socket(), bytes), /^HTTP\/1\.1 4\d\d /)
      assert.deepEqual(await new AgentClient(socket()).images(), [])
    })

  it('survives a provisioner that sends a header of 100 KiB', async () => {
    // The answer may be lost when the agent closes a connection on which bytes still come.
    await rawExchange(socket(), `GET /v1 HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`).catch(() => '')
    assert.deepEqual(await new AgentClient(socket()).images(), [])
  })

  for (const [what, method, path, body, status] of [
    ['JSON of 20,000 brackets', 'POST', '/v1/imports', '['.repeat(20_000), 400],
    ['a name with a NUL', 'POST', '/v1/imports', '{"image":"a\\u0000b"}', 400],
    ['a name with an escape sequence', 'PUT', '/v1/clones/web%1b%5b31m', '{"image":"a"}', 400],
    ['a quota of nothing', 'PUT', '/v1/clones/web1', '{"image":"a","quota":0}', 400],
    ['no image to remove', 'DELETE', '/v1/images', '', 400],
    ['two images to remove', 'DELETE', '/v1/images?image=a&image=b', '', 400],
    ['bytes that are no text', 'POST', '/v1/imports', '\xff\xfe', 400],
  ] as const)
    it(`answers ${what} with ${status}`, async () => {
      const answer = await send(socket(), method, path, body)
      assert.equal(answer.statusCode, status)
      assert.match(await text(answer), /"code":"invalid"/)
    })
})

describe('a client of an agent under faults', () => {
  async function clientOf(answer: string, path: string): Promise<AgentClient & AsyncDisposable> {
    const server = createSocketServer(connection => {
      connection.on('error', () => undefined)
      connection.once('data', () => connection.end(answer))
    })
    await new Promise<void>(resolve => server.listen(path, resolve))
    const client = new AgentClient(path)
    return Object.assign(client, {
      [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
    })
  }

  const head = 'HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n'
  for (const [what, answer] of [
    ['in the middle of a line', `${head}content-length: 100\r\n\r\n{"type":"wai`],
    ['between two lines', `${head}content-length: 100\r\n\r\n{"type":"waiting","chainId":"x"}\n`],
    ['in an orderly way, without a last line', `${head}connection: close\r\n\r\n`],
    ['in an orderly way, in the middle of a line', `${head}connection: close\r\n\r\n{"type":`],
    ['before its answer', ''],
  ] as const)
    it(`names the agent that stops ${what}`, async () => {
      await using directory = await temporaryDirectory()
      const path = join(directory.path, 'agent.sock')
      await using client = await clientOf(answer, path)
      const { message } = await rejectsWith(
        'unavailable',
        client.import({ image: 'a', platform: defaultPlatform }),
      )
      assert.match(message, /agent\.sock/)
    })

  it('names the agent that stops in the middle of a listing', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'agent.sock')
    await using client = await clientOf('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[{', path)
    await rejectsWith('unavailable', client.images())
  })

  it('does not take the socket of another service for an agent', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'other.sock')
    const other = createServer((_, response) => response.end('<html>'))
    await new Promise<void>(resolve => other.listen(path, resolve))
    try {
      await using client = new AgentClient(path)
      const { message } = await rejectsWith('unavailable', client.images())
      assert.match(message, /other\.sock .*is not an agent/)
      await rejectsWith('unavailable', client.import({ image: 'a', platform: defaultPlatform }))
    } finally {
      other.closeAllConnections()
      await new Promise(resolve => other.close(resolve))
    }
  })
})

async function rawExchange(path: string, bytes: string): Promise<string> {
  const connection = connect(path)
  connection.on('error', () => undefined)
  connection.end(bytes)
  return await text(connection)
}

async function send(
  socketPath: string,
  method: string,
  path: string,
  body: string,
): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, agent: false }, resolve)
    request.on('error', reject)
    request.end(Buffer.from(body, 'latin1'))
  })
}
