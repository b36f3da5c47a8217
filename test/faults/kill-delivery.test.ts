import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { RegistryClient } from '../support/registry-client.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { distributionEvents, WebhookReceiver, withoutRepeats } from '../support/webhook-receiver.ts'
import { KillableRegistry } from './killed-pushes/killable-registry.ts'

const repositories = ['hooked/one', 'hooked/two', 'hooked/three'] as const

/** One tag that a client has pushed to its repository. */
interface PushedTag {
  readonly tag: string
  /** Otherwise the registry was killed, and nobody knows. */
  readonly isAcknowledged: boolean
}

describe('A receiver of events that is down for a while and fails at random', () => {
  it('gets every event at least once and in order, from a registry that is killed meanwhile', async context => {
    await using data = await temporaryDirectory()
    await using receiver = await WebhookReceiver.start()
    const random = seededRandom(7)
    receiver.decide = () => {
      const value = random()
      if (value < 0.05) return 'take and cut'
      if (value < 0.1) return 'cut'
      return value < 0.2 ? 503 : 200
    }
    const configuration = join(data.path, 'varve.json')
    const endpoint = {
      name: 'hook',
      url: receiver.url,
      actions: ['push'],
      repositories: ['hooked/*'],
      batch: 5,
      timeoutSeconds: 1,
      maxBackoffSeconds: 1,
    }
    await writeFile(configuration, JSON.stringify({ events: { endpoints: [endpoint] } }))
    const registry = new KillableRegistry(join(data.path, 'data'), '--config', configuration)
    await registry.start()
    const layer = Buffer.from('layer')
    for (const name of repositories)
      await new RegistryClient(await registry.url).pushImage(name, 'first', layer)

    const pushed = new Map<string, PushedTag[]>(repositories.map(name => [name, []]))
    const pushing = { isOver: false }
    const clients = Promise.all(
      repositories.map(async name => {
        for (let index = 0; !pushing.isOver; index++) {
          const client = new RegistryClient(await registry.url)
          const tag = `t${index}`
          const isAcknowledged = await client.pushImage(name, tag, layer).then(
            () => true,
            (error: unknown) => {
              if (error instanceof assert.AssertionError) throw error
              return false
            },
          )
          pushed.get(name)?.push({ tag, isAcknowledged })
          await sleep(20)
        }
      }),
    )
    await receiver.until(messages => messages.length >= 3)
    await receiver.down()
    await sleep(300)
    await registry.kill()
    await registry.start()
    await receiver.up()
    const before = receiver.messages.length
    await receiver.until(messages => messages.length > before + 3)
    await registry.kill()
    await registry.start()
    await sleep(300)
    pushing.isOver = true
    await clients

    const all = [...pushed].flatMap(([name, tags]) =>
      tags.filter(each => each.isAcknowledged).map(({ tag }) => `${name}:${tag}`),
    )
    await receiver.until(messages => {
      const seen = new Set(distributionEvents(messages).map(nameOf))
      return all.every(name => seen.has(name))
    })
    await registry.kill()
    const events = withoutRepeats(distributionEvents(receiver.messages))
    for (const [name, tags] of pushed) {
      const own = events
        .filter(({ target }) => target.repository === name && target.tag !== undefined)
        .map(({ target }) => String(target.tag))
      const known = new Set(['first', ...tags.map(({ tag }) => tag)])
      const certain = new Set(['first', ...tags.filter(each => each.isAcknowledged).map(({ tag }) => tag)])
      assert.ok(own.every(tag => known.has(tag)))
      assert.deepEqual(
        own.filter(tag => certain.has(tag)),
        [...certain],
      )
      assert.deepEqual(
        own,
        [...known].filter(tag => own.includes(tag)),
      )
    }
    assert.deepEqual(registry.failures, [])
    const told = distributionEvents(receiver.messages).length
    context.diagnostic(
      `${registry.kills} kills; ${all.length} pushes acknowledged; ${told} events taken, ${told - events.length} of them repeats, in ${receiver.requests} requests`,
    )
  })
})

function nameOf({
  target,
}: {
  readonly target: { readonly repository: string; readonly tag?: string }
}): string {
  return `${target.repository}:${target.tag}`
}
