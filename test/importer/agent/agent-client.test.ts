/** Everything that a service can be asked, asked through the wire: it comes back as it went in. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { AgentClient } from '../../../src/importer/agent/agent-client.ts'
import { serveAgent, type SocketServer } from '../../../src/importer/agent/agent-server.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import type { CloneOptions } from '../../../src/importer/chain/chain-store.ts'
import type { ImportService, PruneRequest } from '../../../src/importer/import-service.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { agentOver, type TestAgent } from '../../support/agent.ts'
import { answeringService, clone, events, imageName, published, result } from '../../support/agent-answers.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

describe('A client of an agent', () => {
  const inner = answeringService()
  const asked: unknown[] = []
  let directory: TemporaryDirectory
  let agent: TestAgent
  let server: SocketServer
  let client: AgentClient

  before(async () => {
    directory = await temporaryDirectory()
    const service: ImportService = {
      ...inner,
      clone: (image, name, options: CloneOptions = {}) => {
        const { signal: _, ...rest } = options
        asked.push(rest)
        return inner.clone(image, name)
      },
      prune: (request: PruneRequest) => {
        asked.push(request)
        return inner.prune(request)
      },
    }
    agent = await agentOver(service)
    server = await serveAgent(agent.app, join(directory.path, 'agent.sock'))
    client = new AgentClient(server.socket)
  })
  after(async () => {
    await server.close()
    await agent[Symbol.asyncDispose]()
    await directory.remove()
  })

  it('has images, their descriptions and their removal', async () => {
    assert.deepEqual(await client.images(), await inner.images())
    assert.deepEqual(await client.inspect(imageName), await inner.inspect(imageName))
    assert.deepEqual(await client.removeImage(imageName), await inner.removeImage(imageName))
    await rejectsWith('not_found', client.inspect('a/b:1@x&y=z#?'))
  })

  it('has clones, with all their options, and the outcome of each of many', async () => {
    const options = { quota: 5, mountpoint: '/zones/a', properties: { 'org.example:a': 'b=c' } }
    assert.deepEqual(
      await client.clone(imageName, clone.name, options),
      await inner.clone(imageName, clone.name),
    )
    assert.deepEqual(asked.at(-1), options)
    assert.deepEqual(await client.clones(), await inner.clones())
    assert.deepEqual(await client.inspectClone(clone.name), await inner.inspectClone(clone.name))
    const names = ['a', 'b'].map(parseCloneName)
    const outcomes = await client.cloneMany(imageName, names, { quota: 5 })
    const expected = await inner.cloneMany(imageName, names)
    assert.deepEqual(outcomes[0], expected[0])
    const [, failed] = outcomes
    assert.ok(failed !== undefined && 'error' in failed && failed.error.code === 'conflict')
    await client.destroyClone(clone.name)
    await rejectsWith('not_found', client.destroyClone(names[0] ?? clone.name))
  })

  it('is told when an image is not there in time', async () => {
    const wish = { pull: 'missing', waitSeconds: 0 } as const
    await rejectsWith('unavailable', client.clone('slow', clone.name, wish))
    await rejectsWith('unavailable', client.cloneMany('slow', [clone.name], wish))
  })

  it('has prune and history', async () => {
    const request = { unusedSeconds: 5, targetBytes: 7, dryRun: true }
    assert.deepEqual(await client.prune(request), await inner.prune(request))
    assert.deepEqual(asked.at(-1), request)
    assert.deepEqual(await client.history(), await inner.history())
  })

  it('has what is published', async () => {
    assert.deepEqual(await client.publish(imageName), published)
    assert.deepEqual(await client.published(), [published])
    await client.unpublish(published.uuid)
    await rejectsWith('not_found', client.unpublish('../x'))
  })

  it('has imports with their events', async () => {
    const told: unknown[] = []
    const onEvent = (event: unknown): void => void told.push(event)
    const request = { image: imageName, platform: defaultPlatform, credentials: 'team' }
    assert.deepEqual(await client.import(request, { onEvent, priority: 3 }), result)
    // A layer that is done needs no progress any more.
    assert.deepEqual(told, [events[0], events[2]])
    const job = (await client.imports()).find(({ credentials }) => credentials === 'team')
    assert.deepEqual([job?.state, job?.priority, job?.result], ['done', 3, result])
  })
})
