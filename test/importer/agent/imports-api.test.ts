/** Imports as a provisioner sees them: queued, joined, followed, left, cancelled. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { serveAgent, type SocketServer } from '../../../src/importer/agent/agent-server.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import type { ImportOptions, ImportRequest, ImportResult } from '../../../src/importer/import-service.ts'
import type { JobSummary } from '../../../src/importer/jobs/job-records.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import {
  answeringService,
  clonedImage,
  digest,
  events,
  imageName,
  result,
} from '../../support/agent-answers.ts'
import { sendTo } from '../../support/agent-http.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

/** An import that a test ends. */
interface Running {
  readonly request: ImportRequest
  readonly options: ImportOptions
  readonly finish: () => void
}

describe('Imports of an agent', () => {
  let directory: TemporaryDirectory
  let agent: TestAgent
  let server: SocketServer
  let client: AgentClient
  let running: Running[]
  let arrived: PromiseWithResolvers<void>
  let imported: Set<string>

  beforeEach(async () => {
    running = []
    imported = new Set()
    arrived = Promise.withResolvers()
    directory = await temporaryDirectory()
    const service = answeringService()
    agent = await agentOver(
      {
        ...service,
        import: (request, options = {}) => {
          // Somebody asks again after it has ended.
          if (imported.has(request.image)) return Promise.resolve(result)
          const { promise, resolve, reject } = Promise.withResolvers<ImportResult>()
          const finish = (): void => {
            imported.add(request.image)
            resolve({ ...result, image: request.image })
          }
          options.signal?.addEventListener('abort', () => reject(new DOMException('gone', 'AbortError')))
          running.push({ request, options, finish })
          arrived.resolve()
          return promise
        },
        clone: async (image, name) =>
          await (imported.size > 0 && image === digest
            ? { ...clonedImage, name }
            : service.clone('absent', name)),
      },
      { atOnce: 1 },
    )
    server = await serveAgent(agent.app, join(directory.path, 'agent.sock'))
    client = new AgentClient(server.socket)
  })
  afterEach(async () => {
    await server.close()
    await agent[Symbol.asyncDispose]()
    await directory.remove()
  })

  const ask = (image: string) => ({ image, platform: defaultPlatform })
  const nextImport = async (): Promise<Running> => {
    await arrived.promise
    arrived = Promise.withResolvers()
    const last = running.at(-1)
    assert.ok(last)
    return last
  }
  const stateOf = async (id: string): Promise<string | undefined> =>
    (await client.imports()).find(job => job.id === id)?.state

  it('run one after the other, by priority and then by age, each image once', async () => {
    const first = await client.startImport(ask('first'))
    const { finish } = await nextImport()
    const low = await client.startImport(ask('low'), { priority: -1 })
    const high = await client.startImport(ask('high'), { priority: 5 })
    assert.equal((await client.startImport(ask('high'))).id, high.id)
    const states = (await client.imports()).map(({ state, priority }) => [state, priority])
    assert.deepEqual(states, [
      ['running', 0],
      ['queued', -1],
      ['queued', 5],
    ])
    finish()
    const second = await nextImport()
    assert.match(second.request.image, /high/)
    second.finish()
    const third = await nextImport()
    assert.match(third.request.image, /low/)
    third.finish()
    assert.equal((await client.followImport(low.id)).imported, 1)
    assert.equal(await stateOf(first.id), 'done')
  })

  it('tell one who comes late what has happened, and then the end', async () => {
    const { id } = await client.startImport(ask(imageName))
    const { options, finish } = await nextImport()
    for (const event of events) options.onEvent?.(event)
    const told: string[] = []
    const followed = client.followImport(id, { onEvent: ({ type }) => told.push(type) })
    finish()
    assert.deepEqual(await followed, { ...result, image: imageName })
    assert.equal(told[0], 'resolved')
    assert.ok(told.includes('layer-done'))
    const [job] = await client.imports()
    assert.deepEqual(
      job?.layers.map(({ phase, blobBytes, entries }) => [phase, blobBytes, entries]),
      [['done', 10, 3]],
    )
    assert.ok(job?.createdAt instanceof Date && job.endedAt instanceof Date)
  })

  it('answer HEAD as GET, without the body, and without following what goes on', async () => {
    const { id } = await client.startImport(ask(imageName))
    const { finish } = await nextImport()
    for (const path of ['/livez', '/openapi.json', '/v1/imports', `/v1/imports/${id}`]) {
      const got = await sendTo(server.socket, { method: 'GET', path })
      const head = await sendTo(server.socket, { method: 'HEAD', path })
      assert.deepEqual(
        [head.status, head.headers['content-type'], head.headers['content-length'], head.text],
        [got.status, got.headers['content-type'], got.headers['content-length'], ''],
        path,
      )
    }
    const followed = await sendTo(server.socket, { method: 'HEAD', path: `/v1/imports/${id}/events` })
    assert.deepEqual([followed.status, followed.text], [200, ''])
    assert.match(followed.headers['content-type'] ?? '', /ndjson/)
    assert.equal((await sendTo(server.socket, { method: 'HEAD', path: '/v1/other' })).status, 404)
    assert.equal(await stateOf(id), 'running')
    finish()
  })

  it('end when the last of those who follow them leaves, and not before', async () => {
    const leaving = [new AbortController(), new AbortController()]
    const follows = leaving.map(async ({ signal }) => await client.import(ask(imageName), { signal }))
    const { options } = await nextImport()
    const gone = Promise.withResolvers<void>()
    options.signal?.addEventListener('abort', () => gone.resolve())
    while ((await client.imports()).length === 0);
    leaving[0]?.abort()
    await assert.rejects(follows[0] ?? Promise.resolve(), { name: 'AbortError' })
    const [job] = await client.imports()
    assert.equal(job?.state, 'running')
    leaving[1]?.abort()
    await assert.rejects(follows[1] ?? Promise.resolve(), { name: 'AbortError' })
    await gone.promise
  })

  it('go on when somebody has asked for them who does not follow them', async () => {
    const leaving = new AbortController()
    const followed = client.import(ask(imageName), { signal: leaving.signal })
    const { finish } = await nextImport()
    const { id } = await client.startImport(ask(imageName))
    leaving.abort()
    await assert.rejects(followed, { name: 'AbortError' })
    assert.equal(await stateOf(id), 'running')
    finish()
    await client.followImport(id)
  })

  it('are cancelled with a reason for those who follow them', async () => {
    const followed = client.import(ask(imageName))
    await nextImport()
    const [job] = await client.imports()
    assert.equal((await client.cancelImport(job?.id ?? '')).state, 'cancelled')
    assert.match((await rejectsWith('conflict', followed)).message, /cancelled/)
    await rejectsWith('not_found', client.cancelImport('absent'))
  })

  it('answer at once, or wait as long as the request says, and say where to ask', async () => {
    const send = async (waitSeconds: number) =>
      await sendTo(server.socket, {
        method: 'POST',
        path: '/v1/imports?pool=tank',
        body: { image: imageName, waitSeconds },
      })
    const first = await send(0)
    const { id } = JSON.parse(first.text) as JobSummary
    assert.deepEqual([first.status, first.headers.location], [202, `/v1/imports/${id}?pool=tank`])
    const { finish } = await nextImport()
    assert.equal((await send(0.02)).status, 202)
    const waiting = send(600)
    finish()
    const last = await waiting
    assert.deepEqual([last.status, (JSON.parse(last.text) as JobSummary).state], [200, 'done'])
  })

  it('come before a clone where it is asked for, within a limit', async () => {
    const put = async (waitSeconds: number) =>
      await sendTo(server.socket, {
        method: 'PUT',
        path: '/v1/clones/web1',
        body: { image: imageName, waitSeconds, priority: 3 },
      })
    const early = await put(0.02)
    const { id, priority } = JSON.parse(early.text) as JobSummary
    assert.deepEqual(
      [early.status, early.headers.location, early.headers['retry-after'], priority],
      [202, `/v1/imports/${id}`, '2', 3],
    )
    const { finish } = await nextImport()
    const waiting = put(600)
    finish()
    const late = await waiting
    assert.deepEqual(
      [late.status, (JSON.parse(late.text) as { rootfs: string }).rootfs],
      [200, clonedImage.rootfs],
    )
    await rejectsWith('not_found', client.clone('other', parseCloneName('web2')))
    assert.equal(running.length, 1)
  })

  it('are stopped with the agent, and whoever follows one learns that it has not ended', async () => {
    const followed = client.import(ask(imageName))
    followed.catch(() => undefined)
    await nextImport()
    await server.close()
    await rejectsWith('unavailable', followed)
  })
})
