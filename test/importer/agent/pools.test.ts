/** Agents with several pools, some of which are not there yet. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { serveAgent, type SocketServer } from '../../../src/importer/agent/agent-server.ts'
import type { PoolToOpen } from '../../../src/importer/agent/pools.ts'
import type { ImportService } from '../../../src/importer/import-service.ts'
import { agentWithPools, openPool, serviceWith, type TestAgent } from '../../support/agent.ts'
import { answeringService, clone, summary } from '../../support/agent-answers.ts'
import { sendTo } from '../../support/agent-http.ts'
import { keepLog } from '../../support/log-lines.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const exported = new DomainError('unavailable', 'The pool slow is not imported.', { resource: 'pool' })

describe('An agent with several pools', () => {
  let directory: TemporaryDirectory
  let server: SocketServer | undefined
  let agent: TestAgent | undefined

  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(async () => {
    await server?.close()
    await agent?.[Symbol.asyncDispose]()
    ;[server, agent] = [undefined, undefined]
    await directory.remove()
  })

  const pool = (name: string, service: ImportService = answeringService()): PoolToOpen => ({
    name,
    open: () => Promise.resolve(openPool(service, name)),
  })

  async function start(pools: readonly PoolToOpen[], retryMs = 60_000): Promise<string> {
    agent = await agentWithPools(() => pools, { retryMs })
    server = await serveAgent(agent.app, join(directory.path, 'agent.sock'))
    return server.socket
  }

  it('answers for the pool that is named, and for the first one else', async () => {
    const socket = await start([
      pool('tank', serviceWith({ images: async () => [] })),
      pool('fast/data', serviceWith({ images: async () => [summary] })),
    ])
    assert.deepEqual(await new AgentClient(socket).images(), [])
    const fast = new AgentClient(socket, { pool: 'fast/data' })
    assert.deepEqual([await fast.images(), await fast.describe()], [[summary], 'pool fast/data'])
    assert.deepEqual(
      (await fast.pools()).map(({ name, default: isDefault, open }) => [name, isDefault, open]),
      [
        ['tank', true, true],
        ['fast/data', false, true],
      ],
    )
    const { message } = await rejectsWith('not_found', new AgentClient(socket, { pool: 'x' }).images())
    assert.equal(message, 'The agent has no pool x; it has tank, fast/data.')
  })

  it('has imports of their own', async () => {
    const socket = await start([pool('tank'), pool('fast')])
    const fast = new AgentClient(socket, { pool: 'fast' })
    const { id } = await fast.startImport({ image: 'a', platform: { os: 'linux', architecture: 'amd64' } })
    assert.deepEqual(await new AgentClient(socket).imports(), [])
    assert.equal((await fast.imports())[0]?.id, id)
  })

  it('serves the others while one cannot be opened, and that one as soon as it can', async () => {
    let ready = false
    const tried = Promise.withResolvers<void>()
    let attempts = 0
    const slow: PoolToOpen = {
      name: 'slow',
      open: async () => {
        attempts += 1
        if (attempts > 2) tried.resolve()
        if (!ready) throw exported
        return openPool(answeringService(), 'slow')
      },
    }
    const socket = await start([slow, pool('tank')], 5)
    assert.deepEqual(await new AgentClient(socket, { pool: 'tank' }).clones(), [clone])
    const answer = await sendTo(socket, { method: 'GET', path: '/v1/clones?pool=slow' })
    assert.equal(answer.status, 503)
    assert.equal(answer.headers['retry-after'], '15')
    assert.match(answer.text, /not open.*slow is not imported/)
    const notReady = await sendTo(socket, { method: 'GET', path: '/readyz' })
    assert.deepEqual(
      [notReady.status, JSON.parse(notReady.text)],
      [503, { status: 'not ready', pools: { slow: exported.message, tank: 'ready' } }],
    )
    await tried.promise
    ready = true
    while ((await sendTo(socket, { method: 'GET', path: '/readyz' })).status !== 200);
    assert.deepEqual(await new AgentClient(socket).clones(), [clone])
  })

  it('is not ready while a pool that is open does not answer', async () => {
    const broken = serviceWith({ clones: () => Promise.reject(exported) })
    const socket = await start([pool('tank'), pool('broken', broken)])
    const { status, text } = await sendTo(socket, { method: 'GET', path: '/readyz' })
    assert.equal(status, 503)
    assert.deepEqual((JSON.parse(text) as { pools: object }).pools, {
      tank: 'ready',
      broken: exported.message,
    })
  })

  it('does not start when none can be opened, nor with a fault of its own', async () => {
    const kept = keepLog()
    const failing = (error: Error): PoolToOpen => ({ name: 'tank', open: () => Promise.reject(error) })
    await rejectsWith(
      'unavailable',
      agentWithPools(() => [failing(exported)], { log: kept.log }),
    )
    const bug = new Error('bug')
    await assert.rejects(
      agentWithPools(() => [pool('a'), failing(bug)], { log: kept.log }),
      bug,
    )
  })

  it('counts what each pool has done', async () => {
    const socket = await start([pool('tank'), pool('fast')])
    const client = new AgentClient(socket, { pool: 'fast' })
    const asked = { image: 'localhost:5000/team/a:1', platform: { os: 'linux', architecture: 'amd64' } }
    await client.import(asked)
    await client.clone(asked.image, clone.name)
    await client.destroyClone(clone.name)
    const { text, headers } = await sendTo(socket, { method: 'GET', path: '/metrics' })
    assert.match(String(headers['content-type']), /^text\/plain; version=/)
    for (const line of [
      'varve_agent_pool_open{pool="tank"} 1',
      'varve_agent_pool_available_bytes{pool="fast"} 1000',
      'varve_agent_imports_queued{pool="fast"} 0',
      'varve_agent_request_duration_seconds_count{route="/v1/clones/:name",method="put",code="200"} 1',
    ])
      assert.ok(text.includes(`${line}\n`), `${line} is missing:\n${text}`)
  })
})
