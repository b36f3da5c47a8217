import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { backoffMs } from '../../../src/storage/backoff.ts'
import { cloudEventsEnvelope } from '../../../src/registry/events/cloud-events.ts'
import { distributionEnvelope } from '../../../src/registry/events/distribution-envelope.ts'
import type { EventEndpoint } from '../../../src/registry/events/endpoint.ts'
import { eventBatches } from '../../../src/registry/events/event-filter.ts'
import { parseMirrorJobName, parseMirrorRunId } from '../../../src/registry/mirror/job-name.ts'
import { signatureHeaders } from '../../../src/registry/events/webhook-signature.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { ContentEvent, RegistryEvent, RunEvent } from '../../../src/storage/metadata/event-records.ts'
import { noTotals } from '../../../src/storage/metadata/mirror-row.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'

const digest = digestOf(Buffer.from('content'))

function event(change: Partial<ContentEvent> = {}): ContentEvent {
  return {
    position: 42,
    id: '0b7f7a2e-0000-4000-8000-000000000000',
    at: new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
    kind: 'manifest',
    action: 'push',
    repository: parseRepositoryName('team/app'),
    digest,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 7,
    by: {
      requestId: 'r1',
      address: '192.0.2.1',
      scheme: 'https',
      host: 'registry.example.com',
      method: 'PUT',
      userAgent: 'docker/27',
    },
    ...change,
  }
}

const tag = parseTag('latest')

const { id, at } = event()
const ended: RunEvent = {
  position: 1,
  id,
  at,
  kind: 'mirror',
  action: 'end',
  job: parseMirrorJobName('debian'),
  run: parseMirrorRunId('20260102T030000-0123456789ab'),
  trigger: 'schedule',
  wishedBy: null,
  startedAt: new Date(Date.UTC(2026, 0, 2, 3)),
  outcome: 'partial',
  reason: '1 of 3 failed',
  totals: { ...noTotals, copied: 2, failed: 1, bytesReceived: 99, pullsLeft: 7 },
}
const blocked: RunEvent = {
  position: 42,
  id,
  at,
  kind: 'upstream',
  action: 'block',
  upstream: 'docker.io',
  why: 'throttled',
  reason: 'docker.io answers 429',
  until: new Date(at.getTime() + 60_000),
  pullsLeft: 0,
}

describe("distribution's envelope", () => {
  const source = { addr: 'host:5000', instanceID: 'one' }
  const envelope = distributionEnvelope(source)
  const targetOf = (change: Partial<ContentEvent>) => {
    const { events } = JSON.parse(envelope.wrap([event(change)]).body) as { events: { target: object }[] }
    return events[0]?.target
  }

  it('has the fields that its receivers know', () => {
    const { type, body } = envelope.wrap([event()])
    assert.equal(type, 'application/vnd.docker.distribution.events.v2+json')
    assert.deepEqual(JSON.parse(body), {
      events: [
        {
          id: '0b7f7a2e-0000-4000-8000-000000000000',
          timestamp: '2026-01-02T03:04:05.006Z',
          action: 'push',
          target: {
            mediaType: 'application/vnd.oci.image.manifest.v1+json',
            size: 7,
            digest,
            length: 7,
            repository: 'team/app',
            url: `https://registry.example.com/v2/team/app/manifests/${digest}`,
          },
          request: {
            id: 'r1',
            addr: '192.0.2.1',
            host: 'registry.example.com',
            method: 'PUT',
            useragent: 'docker/27',
          },
          actor: {},
          source,
        },
      ],
    })
  })

  it('tells of a push by tag once, and names the tag', () => {
    assert.equal(envelope.actionOf(event({ tag })), undefined)
    assert.equal(envelope.actionOf(event()), 'push')
    const tagged = event({ kind: 'tag', action: 'tag', tag })
    assert.equal(envelope.actionOf(tagged), 'push')
    const { events } = JSON.parse(envelope.wrap([tagged]).body) as {
      events: { action: string; target: { tag: string; digest: string } }[]
    }
    assert.deepEqual(
      events.map(({ action, target }) => [action, target.tag, target.digest]),
      [['push', 'latest', digest]],
    )
  })

  it('names a tag or a digest that was deleted, never both', () => {
    assert.deepEqual(targetOf({ kind: 'tag', action: 'delete', tag }), {
      repository: 'team/app',
      tag: 'latest',
    })
    const blob = {
      kind: 'blob',
      action: 'delete',
      mediaType: undefined,
      size: undefined,
      by: undefined,
    } as const
    assert.deepEqual(targetOf(blob), {
      mediaType: 'application/octet-stream',
      digest,
      repository: 'team/app',
    })
  })

  it('says where a blob was mounted from', () => {
    const from = parseRepositoryName('team/base')
    const mount = targetOf({ kind: 'blob', action: 'mount', from, mediaType: undefined })
    assert.deepEqual(mount, {
      mediaType: 'application/octet-stream',
      size: 7,
      digest,
      length: 7,
      repository: 'team/app',
      fromRepository: 'team/base',
      url: `https://registry.example.com/v2/team/app/blobs/${digest}`,
    })
  })
})

describe('CloudEvents', () => {
  it('are version 1.0 in structured mode', () => {
    const previous = digestOf(Buffer.from('before'))
    const set = event({ kind: 'tag', action: 'tag', tag, previous })
    const { type, body } = cloudEventsEnvelope('urn:test', false).wrap([set])
    assert.equal(type, 'application/cloudevents+json; charset=utf-8')
    assert.deepEqual(JSON.parse(body), {
      specversion: '1.0',
      id: set.id,
      source: 'urn:test',
      type: 'io.varve.tag.set',
      subject: 'team/app:latest',
      time: '2026-01-02T03:04:05.006Z',
      sequence: '0000000000000042',
      datacontenttype: 'application/json',
      data: {
        repository: 'team/app',
        digest,
        tag: 'latest',
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 7,
        previous,
        by: set.by,
      },
    })
  })

  it('are a list where several may come at once', () => {
    const envelope = cloudEventsEnvelope('urn:test', true)
    const { type, body } = envelope.wrap([event(), event({ kind: 'blob', action: 'mount' })])
    assert.equal(type, 'application/cloudevents-batch+json; charset=utf-8')
    const documents = JSON.parse(body) as { type: string; subject: string }[]
    assert.deepEqual(
      documents.map(document => [document.type, document.subject]),
      [
        ['io.varve.manifest.pushed', `team/app@${digest}`],
        ['io.varve.blob.mounted', `team/app@${digest}`],
      ],
    )
  })
})

describe('CloudEvents of what Varve does by itself', () => {
  const documentOf = (given: RunEvent): Record<string, unknown> =>
    JSON.parse(cloudEventsEnvelope('urn:test', false).wrap([given]).body) as Record<string, unknown>

  it('tell how a run of a mirror job has ended', () => {
    const { type, subject, sequence, data } = documentOf(ended)
    assert.deepEqual([type, subject, sequence], ['io.varve.mirror.ended', 'debian', '0000000000000001'])
    assert.deepEqual(data, {
      job: 'debian',
      run: '20260102T030000-0123456789ab',
      trigger: 'schedule',
      wishedBy: null,
      startedAt: '2026-01-02T03:00:00.000Z',
      outcome: 'partial',
      reason: '1 of 3 failed',
      totals: { ...noTotals, copied: 2, failed: 1, bytesReceived: 99, pullsLeft: 7 },
    })
  })

  it('tell that an upstream is left alone, and that it is asked again', () => {
    const { type, subject, data } = documentOf(blocked)
    assert.deepEqual([type, subject], ['io.varve.upstream.blocked', 'docker.io'])
    assert.deepEqual(data, {
      upstream: 'docker.io',
      why: 'throttled',
      reason: 'docker.io answers 429',
      until: '2026-01-02T03:05:05.006Z',
      pullsLeft: 0,
    })
    const { position, id, at } = blocked
    const freed = documentOf({ position, id, at, kind: 'upstream', action: 'free', upstream: 'docker.io' })
    assert.deepEqual([freed['type'], freed['data']], ['io.varve.upstream.freed', { upstream: 'docker.io' }])
  })
})

describe('A signature', () => {
  it('is that of Standard Webhooks', () => {
    const key = Buffer.from('a key of twenty-four byte')
    const secret = `whsec_${key.toString('base64')}`
    const headers = signatureHeaders(secret, 'msg_1', 1_700_000_000_999, '{"a":1}')
    const mac = createHmac('sha256', key).update('msg_1.1700000000.{"a":1}').digest('base64')
    assert.deepEqual(headers, {
      'webhook-id': 'msg_1',
      'webhook-timestamp': '1700000000',
      'webhook-signature': `v1,${mac}`,
    })
    assert.equal(signatureHeaders(undefined, 'msg_1', 0, '')['webhook-signature'], undefined)
  })
})

describe('The filter of an endpoint', () => {
  const rules: Pick<EventEndpoint, 'kinds' | 'repositories' | 'actions' | 'batch'> = {
    kinds: ['manifest', 'blob', 'tag'],
    repositories: ['team/*', 'exact'],
    actions: ['push', 'delete'],
    batch: 2,
  }
  const named = (position: number, name: string, action: ContentEvent['action'] = 'push') =>
    event({ position, repository: parseRepositoryName(name), action })
  const batchesOf = (given: typeof rules, ...events: readonly RegistryEvent[]) =>
    eventBatches(given, { actionOf: each => each.action })(events).map(({ events: told, upTo }) => [
      told.map(({ position }) => position),
      upTo,
    ])

  it('leaves out what is not wanted, and says how far it has come', () => {
    const events = [
      named(1, 'team/app'),
      named(2, 'other'),
      named(3, 'exact', 'delete'),
      named(4, 'team/app', 'pull'),
      named(5, 'team/app'),
      named(6, 'team/app/deeper'),
    ]
    assert.deepEqual(batchesOf(rules, ...events), [
      [[1, 3], 3],
      [[5], 5],
      [[], 6],
    ])
    assert.deepEqual(batchesOf({ ...rules, repositories: [] }, ...events), [[[], 6]])
    assert.deepEqual(batchesOf(rules), [])
  })

  it('passes runs and upstreams by their kind, whatever repositories and actions it names', () => {
    const events = [ended, { ...blocked, position: 2 }, named(3, 'team/app')]
    assert.deepEqual(batchesOf({ ...rules, batch: 9 }, ...events), [[[3], 3]])
    const nothing = { repositories: [], actions: [], batch: 9 }
    assert.deepEqual(batchesOf({ ...nothing, kinds: ['mirror'] }, ...events), [
      [[1], 1],
      [[], 3],
    ])
    assert.deepEqual(batchesOf({ ...nothing, kinds: ['mirror', 'upstream', 'tag'] }, ...events), [
      [[1, 2], 2],
      [[], 3],
    ])
    const envelope = distributionEnvelope({ addr: 'host:5000', instanceID: 'one' })
    const cut = eventBatches({ ...nothing, kinds: ['mirror', 'upstream'] }, envelope)
    assert.deepEqual(cut([ended, blocked]), [{ events: [], upTo: blocked.position }])
  })
})

describe('The pause after failures', () => {
  it('doubles up to its bound, is never less than asked, and never more than its bound', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 40].map(failures => backoffMs(failures, 60_000, 0, 1)),
      [1000, 2000, 4000, 8000, 60_000],
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1000, max: 1e9 }),
        fc.integer({ min: 0, max: 1e10 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (failures, max, asked, random) => {
          const pause = backoffMs(failures, max, asked, random)
          assert.ok(pause >= 500 && pause <= max && pause >= Math.min(asked, max))
        },
      ),
    )
  })
})
