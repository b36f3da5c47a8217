import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventMetrics } from '../../../src/metrics/event-metrics.ts'
import { cloudEventsEnvelope } from '../../../src/registry/events/cloud-events.ts'
import { startDelivery } from '../../../src/registry/events/delivery.ts'
import type { DeliveryTimes } from '../../../src/registry/events/delivery-turn.ts'
import { distributionEnvelope } from '../../../src/registry/events/distribution-envelope.ts'
import type { EventEndpoint } from '../../../src/registry/events/endpoint.ts'
import { eventBatches } from '../../../src/registry/events/event-filter.ts'
import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { WebhookSender } from '../../../src/registry/events/webhook-sender.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { keepLog } from '../../support/log-lines.ts'
import { looseManifest } from '../../support/records.ts'
import { seededRandom } from '../../support/seeded-random.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { distributionEvents, WebhookReceiver, withoutRepeats } from '../../support/webhook-receiver.ts'

const times: DeliveryTimes = { pollMs: 5, saveMs: 20, leaseMarginMs: 100 }
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

describe('Delivery of events', () => {
  let directory: TemporaryDirectory
  let metadata: Metadata
  let receiver: WebhookReceiver
  let stack: AsyncDisposableStack
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    directory = await temporaryDirectory()
    stack.defer(() => directory.remove())
    metadata = stack.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
    receiver = stack.use(await WebhookReceiver.start())
    await metadata.registerEndpoints(['hook'])
  })
  afterEach(() => stack.disposeAsync())

  function endpointOf(change: Partial<EventEndpoint> = {}): EventEndpoint {
    return {
      name: 'hook',
      url: receiver.url,
      format: 'distribution',
      kinds: ['manifest', 'blob', 'tag'],
      repositories: ['**'],
      actions: ['push', 'pull', 'mount', 'delete', 'tag'],
      batch: 1,
      // What is given up on a busy machine is told again, and counted again.
      timeoutMs: 10_000,
      maxBackoffMs: 20,
      secret,
      headers: { authorization: 'Bearer t0ken' },
      ...change,
    }
  }

  function deliver(change: Partial<EventEndpoint> = {}, holder = 'one', records: Metadata = metadata) {
    const endpoint = endpointOf(change)
    const envelope =
      endpoint.format === 'distribution'
        ? distributionEnvelope({ addr: 'test', instanceID: holder })
        : cloudEventsEnvelope('urn:test', endpoint.batch > 1)
    const kept = keepLog()
    const metrics = createEventMetrics(async () => ({
      newest: (await metadata.eventBounds()).newest,
      endpoints: await metadata.listEndpoints(),
    }))
    const sender = stack.use(new WebhookSender(endpoint, envelope))
    const cut = eventBatches(endpoint, envelope)
    const running = stack.use(
      startDelivery({ endpoint, records, sender, cut, holder, log: kept.log, metrics, times }),
    )
    return { metrics, kept, stop: () => running[Symbol.asyncDispose]() }
  }

  /** Pushes by several clients at once. @returns by repository the tags, in the order of the acknowledgements. */
  async function push(count: number): Promise<Map<string, string[]>> {
    const names = ['team/a', 'team/b', 'other/c']
    const pushed = new Map(names.map(name => [name, [] as string[]]))
    await Promise.all(
      names.map(async name => {
        for (let index = 0; index < count; index++) {
          const tag = `t${index}`
          await metadata.putManifest(parseRepositoryName(name), looseManifest(`${name} ${tag}`, tag))
          pushed.get(name)?.push(tag)
        }
      }),
    )
    return pushed
  }

  /** Waits until everything has arrived, then checks that nothing was lost and all was in order. */
  async function allArrived(pushed: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const total = [...pushed.values()].reduce((sum, tags) => sum + tags.length, 0)
    await receiver.until(messages => withoutRepeats(distributionEvents(messages)).length >= total)
    const events = withoutRepeats(distributionEvents(receiver.messages))
    assert.equal(events.length, total)
    for (const [name, tags] of pushed) {
      const own = events.filter(({ target }) => target.repository === name)
      assert.deepEqual(
        own.map(({ action, target }) => [action, target.tag]),
        tags.map(tag => ['push', tag]),
      )
    }
  }

  it('sends what happens, signed, with the headers of the endpoint', async () => {
    deliver()
    const pushed = await push(3)
    await allArrived(pushed)
    for (const { headers, body } of receiver.messages) {
      assert.equal(headers['content-type'], 'application/vnd.docker.distribution.events.v2+json')
      assert.equal(headers.authorization, 'Bearer t0ken')
      const id = String(headers['webhook-id'])
      assert.deepEqual(
        distributionEvents([{ headers, body, status: 204 }]).map(event => event.id),
        [id],
      )
      const content = `${id}.${String(headers['webhook-timestamp'])}.${body}`
      const mac = createHmac('sha256', Buffer.alloc(32, 7)).update(content).digest('base64')
      assert.equal(headers['webhook-signature'], `v1,${mac}`)
      assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 300)
    }
  })

  it('reaches a receiver that is down for a while and fails at random, with every event and in order', async () => {
    const random = seededRandom(1)
    receiver.decide = () => {
      const value = random()
      if (value < 0.15) return 500
      if (value < 0.25) return 'cut'
      if (value < 0.35) return 'take and cut'
      if (value < 0.4) return 302
      return 200
    }
    await receiver.down()
    const { metrics } = deliver()
    const pushed = await push(20)
    await receiver.up()
    await receiver.until(messages => messages.length > 20)
    await receiver.down()
    const more = await push(5)
    await receiver.up()
    for (const [name, tags] of more) pushed.get(name)?.push(...tags)
    await allArrived(pushed)
    const text = await metrics.text()
    assert.match(text, /registry_notifications_events_total\{type="Failures",endpoint="hook"\} [1-9]/)
    assert.match(text, /registry_notifications_events_total\{type="Errors",endpoint="hook"\} [1-9]/)
    assert.match(text, /registry_notifications_status_total\{code="500",endpoint="hook"\} [1-9]/)
    assert.match(text, /varve_events_position 150\n/)
  })

  it('by two at once is in order, and done by one at a time', async () => {
    const replica = stack.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
    let inFlight = 0
    let atOnce = 0
    receiver.decide = (_, request) => {
      inFlight += 1
      atOnce = Math.max(atOnce, inFlight)
      request.once('close', () => {
        inFlight -= 1
      })
      return Math.random() < 0.1 ? 503 : 200
    }
    const [first] = [deliver({}, 'one'), deliver({}, 'two', replica)]
    const pushed = await push(10)
    await receiver.until(messages => messages.length > 12)
    await first.stop()
    await allArrived(pushed)
    assert.equal(atOnce, 1)
  })

  it('goes on where another one was, when that one has died', async () => {
    const pushed = await push(4)
    // It has told of some, and dies before it can say so.
    const until = new Date(Date.now() + 300)
    const lease = await metadata.leaseEndpoint('hook', { holder: 'dead', until })
    assert.equal(lease?.position, 0)
    deliver({}, 'alive')
    await allArrived(pushed)
    assert.equal(await metadata.leaseEndpoint('hook', { holder: 'dead', until }), undefined)
  })

  it('remembers what it has delivered when it is stopped', async () => {
    const first = deliver({ batch: 100 })
    await allArrived(await push(3))
    await first.stop()
    const before = receiver.requests
    deliver({ batch: 100 }, 'two')
    await metadata.putManifest(parseRepositoryName('last'), looseManifest('last'))
    await receiver.until(messages =>
      distributionEvents(messages).some(each => each.target.repository === 'last'),
    )
    assert.equal(receiver.requests, before + 1)
  })

  it('sends many in one request where that is wanted, and only what is wanted', async () => {
    await push(40)
    deliver({ format: 'cloudevents', batch: 25, repositories: ['team/*'], actions: ['tag'] })
    const documents = () =>
      receiver.messages.map(({ body }) => JSON.parse(body) as { type: string; subject: string }[])
    await receiver.until(() => documents().flat().length >= 80)
    assert.ok(documents().every(list => list.length <= 25))
    assert.ok(receiver.messages.length <= 6, `${receiver.messages.length} requests`)
    for (const { type, subject } of documents().flat())
      assert.ok(type === 'io.varve.tag.set' && subject.startsWith('team/'), `${type} ${subject}`)
    const [{ headers } = assert.fail()] = receiver.messages
    assert.equal(headers['content-type'], 'application/cloudevents-batch+json; charset=utf-8')
  })

  it('sends runs of mirror jobs where they are wanted, in the order of all events', async () => {
    const job = parseMirrorJobName('debian')
    const run = {
      id: newMirrorRunId(new Date()),
      job,
      trigger: 'api',
      by: 'ann',
      startedAt: new Date(),
    } as const
    await metadata.beginMirrorRun(run)
    await push(1)
    await metadata.saveMirrorRun(run.id, { totals: { ...noTotals, copied: 1 }, outcome: 'ok' })
    deliver({ format: 'cloudevents', kinds: ['mirror'], repositories: ['team/a'] })
    await receiver.until(messages => messages.length >= 2)
    const documents = receiver.messages.map(
      ({ body }) => JSON.parse(body) as { type: string; subject: string; data: { run: string } },
    )
    assert.deepEqual(
      documents.map(({ type, subject, data }) => [type, subject, data.run]),
      [
        ['io.varve.mirror.started', 'debian', run.id],
        ['io.varve.mirror.ended', 'debian', run.id],
      ],
    )
  })

  it('says which events were too old before they could be delivered', async () => {
    await receiver.down()
    await push(5)
    const { metrics, kept } = deliver()
    const { reason } = await kept.find(({ message }) => String(message).includes('they wait'))
    assert.match(String(reason), /ECONNREFUSED/)
    await metadata.deleteEvents(new Date(Date.now() + 1000), 28)
    await receiver.up()
    const lost = await kept.find(({ level }) => level === 'error')
    assert.equal(lost['events'], 28)
    await receiver.until(messages => messages.length > 0)
    assert.match(await metrics.text(), /varve_events_expired_total\{endpoint="hook"\} 28\n/)
  })

  it('is not held up by receivers that never answer, or never end their answer', async () => {
    const verdicts = ['hang', 429, 'endless', 'endless'] as const
    receiver.decide = index => verdicts[index] ?? 200
    deliver({ maxBackoffMs: 30, timeoutMs: 1500 })
    await allArrived(await push(2))
    assert.equal(receiver.requests, 8)
    assert.equal(receiver.messages.length, 6)
  })

  it('ends when it is stopped, whatever it waits for', async () => {
    receiver.decide = () => 500
    const { stop } = deliver({ maxBackoffMs: 3_600_000 })
    await push(1)
    // From then on it waits for an hour.
    const isWaiting = async () => (await metadata.listEndpoints())[0]?.failures === 1
    while (!(await isWaiting())) await sleep(10)
    await stop()
    assert.ok(await isWaiting())
  })
})
