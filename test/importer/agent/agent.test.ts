import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DomainError, isDomainError } from '../../../src/errors.ts'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { type SocketServer, serveAgent } from '../../../src/importer/agent/agent-server.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import type {
  ImportEvent,
  ImportResult,
  ImportService,
  InspectedImage,
} from '../../../src/importer/import-service.ts'
import { createLogger } from '../../../src/log.ts'
import { parseChainId } from '../../../src/storage/chain-id.ts'
import { digestOf, parseDiffId } from '../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { agentOver, serviceWith, type TestAgent } from '../../support/agent.ts'

const digest = digestOf(Buffer.from('x'))
const chainId = parseChainId(digest)
const web1 = parseCloneName('web1')
const waiting: ImportEvent = { type: 'waiting', chainId }
const result: ImportResult = {
  image: 'localhost:5000/a:1',
  manifestDigest: digest,
  chainId,
  location: 'tank@x',
  layers: 2,
  imported: 2,
  milliseconds: 1,
}
const clone = {
  name: web1,
  chain: chainId,
  dataset: 'tank/varve/clones/web1',
  mountpoint: '/tank/varve/clones/web1',
  rootfs: '/tank/varve/clones/web1/root',
  origin: 'tank@x',
  createdAt: new Date('2026-01-02T03:04:05.000Z'),
}

describe('agent', () => {
  let directory = ''
  let server: SocketServer | undefined
  let agent: TestAgent | undefined
  let log: string[] = []

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-agent-'))
    log = []
  })
  afterEach(async () => {
    await server?.close()
    await agent?.[Symbol.asyncDispose]()
    server = undefined
    await rm(directory, { recursive: true })
  })

  async function start(answers: Partial<ImportService>): Promise<AgentClient> {
    const logger = createLogger({ level: 'info', destination: { write: line => void log.push(line) } })
    agent = await agentOver(serviceWith(answers), { log: logger })
    server = await serveAgent(agent.app, join(directory, 'agent.sock'))
    return new AgentClient(server.socket)
  }

  it('hands on progress and the result of an import', async () => {
    await using client = await start({
      import: (request, options) => {
        assert.deepEqual(request, { image: 'localhost:5000/a:1', platform: defaultPlatform })
        options?.onEvent?.(waiting)
        return Promise.resolve(result)
      },
    })
    const events: ImportEvent[] = []
    const answer = await client.import(
      { image: 'localhost:5000/a:1', platform: defaultPlatform },
      { onEvent: event => events.push(event) },
    )
    assert.deepEqual([events, answer], [[waiting], result])
  })

  it('hands on a failure with its code, also after progress', async () => {
    await using client = await start({
      import: (_request, options) => {
        options?.onEvent?.(waiting)
        return Promise.reject(
          new DomainError('digest_mismatch', 'The layer is not what it says.', { resource: 'layer' }),
        )
      },
    })
    await assert.rejects(
      client.import({ image: 'a', platform: defaultPlatform }),
      error => isDomainError(error, 'digest_mismatch') && error.details.resource === 'layer',
    )
  })

  it('shows an image', async () => {
    const image: InspectedImage = {
      names: ['localhost:5000/a:1'],
      manifestDigest: digest,
      configDigest: digest,
      platform: 'linux/amd64',
      chainId,
      size: 7,
      importedAt: new Date('2026-01-02T03:04:05.000Z'),
      lastUsedAt: new Date('2026-02-02T03:04:05.000Z'),
      clones: 1,
      layers: [{ blob: digest, diffId: parseDiffId(digest), chainId, size: 7 }],
      config: { os: 'linux' },
      process: { Cmd: ['sh'] },
    }
    const asked: string[] = []
    await using client = await start({
      inspect: wanted => {
        asked.push(wanted)
        return Promise.resolve(image)
      },
    })
    assert.deepEqual(await client.inspect('a/b:1@x&y=z'), image)
    assert.deepEqual(asked, ['a/b:1@x&y=z'])
  })

  it('says nothing of an unexpected error but logs it', async () => {
    await using client = await start({ images: () => Promise.reject(new Error('secret internals')) })
    await assert.rejects(
      client.images(),
      error => error instanceof Error && !error.message.includes('secret'),
    )
    assert.ok(log.some(line => line.includes('secret internals')))
  })

  it('aborts the import when the client goes away', async () => {
    const gone = Promise.withResolvers<void>()
    await using client = await start({
      import: (_request, options) =>
        new Promise((_resolve, reject) => {
          options?.onEvent?.(waiting)
          options?.signal?.addEventListener('abort', () => {
            gone.resolve()
            reject(new DOMException('gone', 'AbortError'))
          })
        }),
    })
    const controller = new AbortController()
    const running = client.import(
      { image: 'a', platform: defaultPlatform },
      { signal: controller.signal, onEvent: () => controller.abort() },
    )
    await assert.rejects(running, { name: 'AbortError' })
    await gone.promise
  })

  it('makes, lists and destroys clones', async () => {
    const destroyed: string[] = []
    await using client = await start({
      clone: (image, name, options) => {
        assert.deepEqual([image, name, options?.quota], ['a/b:1', 'web1', 5])
        return Promise.resolve({
          ...clone,
          image,
          manifestDigest: digest,
          config: { os: 'linux' },
          process: { Cmd: ['sh'] },
          run: { problem: 'nobody is there' },
        })
      },
      clones: () => Promise.resolve([clone]),
      destroyClone: name => {
        destroyed.push(name)
        return Promise.resolve()
      },
    })
    const made = await client.clone('a/b:1', web1, { quota: 5 })
    assert.deepEqual(
      [made.rootfs, made.createdAt, made.process, made.run],
      [clone.rootfs, clone.createdAt, { Cmd: ['sh'] }, { problem: 'nobody is there' }],
    )
    assert.deepEqual(await client.clones(), [clone])
    await client.destroyClone(web1)
    assert.deepEqual(destroyed, ['web1'])
  })

  for (const [what, method, path, body, status, code] of [
    ['a body that is not JSON', 'POST', '/v1/imports', '{', 400, 'invalid'],
    ['a body with an unknown member', 'POST', '/v1/imports', '{"image":"a","imgae":1}', 400, 'invalid'],
    ['a body that is too large', 'POST', '/v1/imports', 'x'.repeat(70_000), 413, 'too_large'],
    ['a platform that is none', 'POST', '/v1/imports', '{"image":"a","platform":"linux"}', 400, 'invalid'],
    ['a request for no image', 'GET', '/v1/image', '', 400, 'invalid'],
    ['a clone name that is none', 'PUT', '/v1/clones/..%2Fevil', '{"image":"a"}', 400, 'invalid'],
    ['a path that is not there', 'GET', '/v1/other', '', 404, 'not_found'],
  ] as const)
    it(`answers ${what} with ${status} ${code}`, async () => {
      await using _client = await start({})
      assert.deepEqual(await raw(join(directory, 'agent.sock'), method, path, body), [status, code])
    })

  it('opens its socket to its own user only', async () => {
    await using _client = await start({})
    assert.equal((await stat(join(directory, 'agent.sock'))).mode & 0o777, 0o600)
  })

  it('replaces the socket of a dead agent, and refuses that of a live one and what is no socket', async () => {
    await using _client = await start({})
    await using other = await agentOver(serviceWith({}))
    const { app } = other
    await assert.rejects(serveAgent(app, join(directory, 'agent.sock')), error =>
      isDomainError(error, 'conflict'),
    )

    const file = join(directory, 'file')
    await writeFile(file, '')
    await assert.rejects(serveAgent(app, file), error => isDomainError(error, 'conflict'))

    const dead = join(directory, 'dead.sock')
    await leaveDeadSocket(dead)
    await (await serveAgent(app, dead)).close()
  })

  it('is named by the client when it does not answer', async () => {
    await using client = new AgentClient(join(directory, 'absent.sock'))
    await assert.rejects(
      client.images(),
      error => isDomainError(error, 'unavailable') && error.message.includes('absent.sock'),
    )
  })
})

async function raw(
  socketPath: string,
  method: string,
  path: string,
  body: string,
): Promise<[number, string]> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path }, response => {
      let text = ''
      response.on('data', chunk => {
        text += String(chunk)
      })
      response.on('end', () => {
        const { error } = JSON.parse(text) as { error: { code: string } }
        resolve([response.statusCode ?? 0, error.code])
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** What a killed agent leaves: a socket on which nobody listens. Renaming hides it from the clean-up of close. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(`${path}.live`, resolve))
  await rename(`${path}.live`, path)
  await new Promise<void>(resolve => server.close(() => resolve()))
}
