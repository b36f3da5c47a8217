import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { PullRecorder } from '../../../src/registry/events/pull-recorder.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import type { NewContentEvent } from '../../../src/storage/metadata/event-records.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { eventsAfter } from '../../contract/metadata-events.ts'
import { keepLog } from '../../support/log-lines.ts'
import { startRegistry } from '../../support/registry.ts'
import { manifestOf, RegistryClient } from '../../support/registry-client.ts'

describe('Pulls', () => {
  it('are events: GETs of manifests and blobs, and nothing else', async () => {
    const pulls: NewContentEvent[] = []
    await using registry = await startRegistry({ pulls: { record: event => pulls.push(event) } })
    const client = new RegistryClient(registry.url)
    const layer = Buffer.from('layer')
    const digest = await client.pushImage('a/b', 'latest', layer)
    const blob = `/v2/a/b/blobs/${digestOf(layer)}`
    const agent = { 'user-agent': 'test/1', 'x-request-id': 'mine' }
    for (const [method, path, headers] of [
      ['HEAD', '/v2/a/b/manifests/latest', {}],
      ['GET', '/v2/a/b/manifests/absent', {}],
      ['GET', '/v2/a/b/manifests/latest', { 'if-none-match': `"${digest}"` }],
      ['GET', '/v2/a/b/manifests/latest', agent],
      ['GET', `/v2/a/b/manifests/${digest}`, {}],
      ['HEAD', blob, {}],
      ['GET', blob, {}],
      ['GET', blob, { range: 'bytes=1-2' }],
      ['GET', '/v2/a/b/tags/list', {}],
    ] as const)
      await client.send(method, path, { headers })
    const size = manifestOf(Buffer.from('{}'), [layer]).length
    assert.deepEqual(
      pulls.map(({ kind, action, tag, digest: of, size: bytes }) => [kind, action, tag, of, bytes]),
      [
        ['manifest', 'pull', 'latest', digest, size],
        ['manifest', 'pull', undefined, digest, size],
        ['blob', 'pull', undefined, digestOf(layer), 5],
        ['blob', 'pull', undefined, digestOf(layer), undefined],
      ],
    )
    const { host } = new URL(registry.url)
    assert.deepEqual(pulls[0]?.by, {
      requestId: 'mine',
      address: '127.0.0.1',
      scheme: 'http',
      host,
      method: 'GET',
      userAgent: 'test/1',
    })
  })

  it('and changes say who has asked for them', async () => {
    await using registry = await startRegistry()
    const client = new RegistryClient(registry.url)
    const digest = await client.pushImage('a/b', 'latest', Buffer.from('layer'))
    await client.send('POST', `/v2/c/blobs/uploads/?mount=${digestOf(Buffer.from('layer'))}&from=a/b`)
    await client.send('DELETE', '/v2/a/b/manifests/latest')
    await client.send('DELETE', `/v2/a/b/manifests/${digest}`)
    await client.send('DELETE', `/v2/a/b/blobs/${digestOf(Buffer.from('layer'))}`)
    await using metadata = await openSqliteMetadata(join(registry.directory, 'metadata.sqlite'))
    assert.deepEqual(
      (await eventsAfter(metadata, 0)).map(({ kind, action, by }) => [kind, action, by?.method, by?.address]),
      [
        ['blob', 'push', 'POST', '127.0.0.1'],
        ['blob', 'push', 'POST', '127.0.0.1'],
        ['manifest', 'push', 'PUT', '127.0.0.1'],
        ['tag', 'tag', 'PUT', '127.0.0.1'],
        ['blob', 'mount', 'POST', '127.0.0.1'],
        ['tag', 'delete', 'DELETE', '127.0.0.1'],
        ['manifest', 'delete', 'DELETE', '127.0.0.1'],
        ['blob', 'delete', 'DELETE', '127.0.0.1'],
      ],
    )
  })

  const pullOf = (index: number): NewContentEvent => ({
    kind: 'blob',
    action: 'pull',
    repository: parseRepositoryName('a'),
    digest: digestOf(Buffer.from(`${index}`)),
    size: index,
    at: new Date(),
  })
  const sizes = (events: readonly NewContentEvent[]) => events.map(({ size }) => size)

  it('are written a moment later, many at once, and the last ones at the end', async () => {
    const batches: (readonly NewContentEvent[])[] = []
    const { promise: first, resolve } = Promise.withResolvers<void>()
    const recorder = new PullRecorder({
      records: {
        addEvents: async events => {
          batches.push(events)
          resolve()
        },
      },
      log: keepLog().log,
      onDropped: () => {},
      everyMs: 10,
    })
    for (let index = 0; index < 700; index++) recorder.record(pullOf(index))
    await first
    recorder.record(pullOf(700))
    await recorder[Symbol.asyncDispose]()
    assert.deepEqual(
      batches.flatMap(sizes),
      Array.from({ length: 701 }, (_, index) => index),
    )
    assert.ok(batches.length <= 3)
  })

  it('wait while the database is away, as many as there is room for', async () => {
    let isAway = true
    let dropped = 0
    const written: NewContentEvent[] = []
    const kept = keepLog()
    const { promise: back, resolve } = Promise.withResolvers<void>()
    const recorder = new PullRecorder({
      records: {
        addEvents: async events => {
          if (isAway) throw new DomainError('unavailable', 'It is away.', { resource: 'database' })
          written.push(...events)
          resolve()
        },
      },
      log: kept.log,
      onDropped: count => {
        dropped += count
      },
      limit: 5,
      everyMs: 5,
    })
    for (let index = 0; index < 8; index++) recorder.record(pullOf(index))
    await kept.find(({ message }) => String(message).includes('they wait'))
    isAway = false
    await back
    assert.deepEqual([sizes(written), dropped], [[0, 1, 2, 3, 4], 3])
    isAway = true
    recorder.record(pullOf(9))
    await recorder[Symbol.asyncDispose]()
    assert.equal(dropped, 4)
  })
})
