import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { request } from 'undici'
import { createMetrics } from '../../../src/metrics/metrics.ts'
import { createDebugApp } from '../../../src/registry/debug-app.ts'
import { listen, type RunningServer } from '../../../src/registry/server.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { parseRepositoryName, type RepositoryName } from '../../../src/storage/reference.ts'
import { keepLog } from '../../support/log-lines.ts'
import { looseManifest } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

interface Line {
  readonly position: number
  readonly id: string
  readonly at: string
  readonly kind: string
  readonly action: string
  readonly repository: string
}

describe('The stream of events', () => {
  const stack = new AsyncDisposableStack()
  const kept = keepLog()
  const repository: RepositoryName = parseRepositoryName('a/b')
  const stopping = new AbortController()
  let metadata: Metadata
  let server: RunningServer
  let listings = 0
  before(async () => {
    const directory = await temporaryDirectory()
    stack.defer(() => directory.remove())
    metadata = stack.use(await openSqliteMetadata(join(directory.path, 'varve.db')))
    const app = createDebugApp({
      log: kept.log,
      metrics: createMetrics({
        uploadBuffers: { usedBytes: 0, limitBytes: 0, waiting: 0 },
        uploads: { openWriters: 0 },
      }),
      checks: {},
      events: {
        listEvents: (...args) => {
          listings += 1
          return metadata.listEvents(...args)
        },
        eventBounds: options => metadata.eventBounds(options),
      },
      stopping: stopping.signal,
    })
    server = await listen(app.callback(), { host: '127.0.0.1', port: 0 })
    stack.defer(() => server.close())
    for (let index = 0; index < 10; index++) await push(index)
  })
  after(() => stack.disposeAsync())

  const push = (index: number) => metadata.putManifest(repository, looseManifest(`${index}`))
  const open = (query: string, signal?: AbortSignal) =>
    request(`${server.url}/events${query}`, signal === undefined ? {} : { signal })
  const linesOf = (text: string) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line): Line => JSON.parse(line))
  async function read(query: string): Promise<Line[]> {
    const { statusCode, headers, body } = await open(query)
    assert.deepEqual([statusCode, headers['content-type']], [200, 'application/x-ndjson'])
    return linesOf(await body.text())
  }
  const positions = (lines: readonly Line[]) => lines.map(({ position }) => position)

  it('has what has happened, one object a line', async () => {
    const lines = await read('')
    assert.deepEqual(positions(lines), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const { digest, mediaType, size } = looseManifest('0')
    const { id, at, ...first } = lines[0] ?? assert.fail()
    assert.deepEqual(first, {
      position: 1,
      kind: 'manifest',
      action: 'push',
      repository,
      digest,
      mediaType,
      size,
    })
    assert.ok(id.length === 36 && !Number.isNaN(Date.parse(at)))
  })

  it('goes on where a reader has stopped', async () => {
    const seen: Line[] = []
    for (;;) {
      const page = await read(`?after=${seen.at(-1)?.position ?? 0}&limit=3`)
      if (page.length === 0) break
      seen.push(...page)
    }
    assert.deepEqual(seen, await read('?after=0'))
  })

  it('waits for what comes, and ends when that is enough', async () => {
    const waiting = read('?after=10&limit=2&wait=60')
    await push(11)
    await push(12)
    assert.deepEqual(positions(await waiting), [11, 12])
  })

  it('begins with what happens from now on when asked so, and says where that is', async () => {
    const { headers, body } = await open('?after=latest&wait=0')
    assert.equal(headers['varve-events-after'], '12')
    assert.equal(await body.text(), '')
    const { headers: first, body: all } = await open('')
    assert.equal(first['varve-events-after'], '0')
    assert.equal(linesOf(await all.text()).length, 12)
  })

  it('ends when nothing comes', async () => {
    assert.deepEqual(await read('?after=12&wait=1'), [])
  })

  it('asks nothing any more when its reader has gone', async () => {
    const leave = new AbortController()
    const { body } = await open('?after=11&wait=60', leave.signal)
    body.on('error', () => {})
    for await (const _ of body) break
    leave.abort()
    let before = -1
    while (before !== listings) {
      before = listings
      await new Promise(resolve => setTimeout(resolve, 700))
    }
  })

  it('has gone on too far for one that comes too late, and says where it begins now', async () => {
    await metadata.deleteEvents(new Date(Date.now() + 1000), 4)
    for (const [after, status] of [
      [0, 410],
      [3, 410],
      [4, 200],
      [12, 200],
      [13, 410],
    ] as const) {
      const { statusCode, body } = await open(`?after=${after}`)
      const text = await body.text()
      assert.equal(statusCode, status, `after ${after}`)
      if (status !== 410) continue
      const { errors } = JSON.parse(text) as { errors: { code: string; detail: { name: string } }[] }
      assert.deepEqual(
        errors.map(({ code, detail }) => [code, detail.name]),
        [['RANGE_INVALID', '5']],
      )
    }
    assert.equal((await read(''))[0]?.position, 5)
  })

  it('has only the kinds that are wanted, whatever their number', async () => {
    const { newest } = await metadata.eventBounds()
    const at = new Date()
    const freed = { kind: 'upstream', action: 'free', upstream: 'docker.io', at } as const
    const { digest } = looseManifest('0')
    const pull = { kind: 'manifest', action: 'pull', repository, digest, at } as const
    await metadata.addEvents([freed, pull, pull, freed, pull])
    const told = async (query: string) => positions(await read(`?after=${newest}${query}`))
    assert.deepEqual(
      await told(''),
      [1, 2, 3, 4, 5].map(place => newest + place),
    )
    assert.deepEqual(await told('&kinds=upstream'), [newest + 1, newest + 4])
    assert.deepEqual(await told('&kinds=mirror,upstream&limit=1'), [newest + 1])
    assert.deepEqual(await told('&kinds=mirror'), [])
    assert.deepEqual(await told('&kinds=manifest,upstream&wait=1'), await told(''))
    const { statusCode, body } = await open('?kinds=upstream,gibberish')
    assert.deepEqual([statusCode, /gibberish is no kind/.test(await body.text())], [400, true])
    const [first] = await read(`?after=${newest}&limit=1`)
    const { position, id, ...facts } = first ?? assert.fail()
    assert.deepEqual(facts, { ...freed, at: at.toISOString() })
    assert.ok(position === newest + 1 && id.length === 36)
  })

  it('refuses what is no number', async () => {
    for (const query of ['?after=x', '?limit=-1', '?wait=1.5']) {
      const { statusCode, body } = await open(query)
      await body.dump()
      assert.equal(statusCode, 400, query)
    }
  })

  it('ends after a whole line when the server stops', async () => {
    const { body } = await open('?after=4&wait=60')
    const text = body.text()
    stopping.abort()
    const lines = linesOf(await text)
    assert.deepEqual(
      positions(lines),
      Array.from(lines, (_, index) => 5 + index),
    )
    await server.close()
    assert.deepEqual(kept.lines(), [])
  })
})
