import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { request } from 'undici'
import { DomainError } from '../../src/errors.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { createDebugApp } from '../../src/registry/debug-app.ts'
import { runChecks } from '../../src/registry/health.ts'
import { listen } from '../../src/registry/server.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import { observedObjectStore } from '../../src/storage/objects/observed.ts'
import { keepLog } from '../support/log-lines.ts'
import { serveStub } from '../support/stub-registry.ts'

const sources = {
  uploadBuffers: { usedBytes: 5, limitBytes: 10, waiting: 2 },
  uploads: { openWriters: 3 },
}
const unavailable = () =>
  Promise.reject(new DomainError('unavailable', 'db1 does not answer.', { resource: 'database' }))

async function serveDebug(checks: Parameters<typeof createDebugApp>[0]['checks'] = {}) {
  const metrics = createMetrics(sources)
  const events = { listEvents: async () => [], eventBounds: async () => ({ oldest: 1, newest: 0 }) }
  const stopping = new AbortController().signal
  const app = createDebugApp({ log: keepLog().log, metrics, checks, events, stopping })
  const server = await listen(app.callback(), { host: '127.0.0.1', port: 0 })
  return { url: server.url, metrics, [Symbol.asyncDispose]: () => server.close() }
}

/** Value of a line of Prometheus' text format. */
function sampleOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find(line => line.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

describe('The second server', () => {
  it('has metrics, health and the description, and nothing of the registry', async () => {
    await using debug = await serveDebug()
    for (const [path, status, type] of [
      ['/metrics', 200, 'text/plain; version=0.0.4; charset=utf-8'],
      ['/livez', 200, 'application/json'],
      ['/readyz', 200, 'application/json'],
      ['/debug/health', 200, 'application/json'],
      ['/openapi.json', 200, 'application/json'],
      ['/v2/', 404, 'application/json'],
    ] as const) {
      const { statusCode, headers, body } = await request(debug.url + path)
      await body.dump()
      assert.deepEqual([statusCode, headers['content-type']], [status, type], path)
    }
  })

  it('says what is wrong, by the name of the check', async () => {
    await using debug = await serveDebug({ metadata: unavailable, objects: async () => {} })
    const health = await request(`${debug.url}/debug/health`)
    assert.deepEqual(
      [health.statusCode, await health.body.json()],
      [503, { metadata: 'db1 does not answer.' }],
    )
    const ready = await request(`${debug.url}/readyz`)
    assert.equal(ready.statusCode, 503)
    assert.ok(!(await ready.body.text()).includes('db1'))
  })

  it('does not wait for a check that hangs', async () => {
    const failures = await runChecks({ slow: () => new Promise(() => {}) }, new AbortController().signal, 5)
    assert.deepEqual(failures, { slow: 'There was no answer within 5 ms.' })
  })
})

describe('Metrics', () => {
  it('have what was asked of the process at this moment', async () => {
    const text = await createMetrics(sources).text()
    assert.equal(sampleOf(text, 'varve_upload_buffered_bytes'), 5)
    assert.equal(sampleOf(text, 'varve_upload_buffer_limit_bytes'), 10)
    assert.equal(sampleOf(text, 'varve_upload_buffer_waiting'), 2)
    assert.equal(sampleOf(text, 'varve_uploads_open'), 3)
    assert.ok(Number(sampleOf(text, 'process_resident_memory_bytes')) > 0)
  })

  it("count requests under distribution's names, in seconds and bytes", async () => {
    const metrics = createMetrics(sources)
    await using registry = await serveStub({ listTags: async () => ['x'] }, { metrics })
    const answer = await request(`${registry.url}/v2/a/tags/list`)
    const length = (await answer.body.text()).length
    await (await request(`${registry.url}/v2/A/manifests/x`, { method: 'PUT', body: '12345' })).body.dump()
    await (await request(`${registry.url}/v2/`, { method: 'PROPFIND' as 'GET' })).body.dump()
    await registry.kept.find(line => line['method'] === 'PROPFIND')
    const text = await metrics.text()
    const tags = '{handler="tags",method="get",code="200"}'
    assert.equal(sampleOf(text, `registry_http_requests_total${tags}`), 1)
    assert.equal(sampleOf(text, `registry_http_response_size_bytes_sum${tags}`), length)
    assert.equal(
      sampleOf(text, 'registry_http_requests_total{handler="manifest",method="put",code="400"}'),
      1,
    )
    assert.equal(
      sampleOf(text, 'registry_http_requests_total{handler="none",method="unknown",code="405"}'),
      1,
    )
    assert.equal(sampleOf(text, 'registry_http_in_flight_requests{handler="tags"}'), 0)
    const line = await registry.kept.find(({ status }) => status === 200)
    const seconds = sampleOf(text, `registry_http_request_duration_seconds_sum${tags}`)
    assert.equal(seconds, Number(line['durationMs']) / 1000)
    assert.match(text, /registry_http_request_duration_seconds_bucket\{le="0.005",handler="tags"/)
  })

  it('count a request while its body is on the way', async () => {
    const metrics = createMetrics(sources)
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    await using registry = await serveStub(
      {
        open: async () => ({
          digest: '',
          size: 3,
          stream: Readable.from(
            (async function* () {
              yield Buffer.from('a')
              await gate
              yield Buffer.from('bc')
            })(),
          ),
        }),
      },
      { metrics },
    )
    const { body } = await request(`${registry.url}/v2/a/blobs/sha256:${'0'.repeat(64)}`)
    const series = 'registry_http_in_flight_requests{handler="blob"}'
    assert.equal(sampleOf(await metrics.text(), series), 1)
    open()
    assert.equal(await body.text(), 'abc')
    await registry.kept.find(({ message }) => message === 'request')
    assert.equal(sampleOf(await metrics.text(), series), 0)
  })

  it('time each call to the object store, failed ones too', async () => {
    const metrics = createMetrics(sources)
    let time = 0
    const store = observedObjectStore(
      new MemoryObjectStore(),
      (action, seconds) => metrics.storageAction('memory', action, seconds),
      () => (time += 250),
    )
    await store.put(newObjectKey(), Buffer.from('x'))
    await assert.rejects(store.head(newObjectKey()))
    const text = await metrics.text()
    for (const action of ['PutContent', 'Stat']) {
      const labels = `{driver="memory",action="${action}"}`
      assert.equal(sampleOf(text, `registry_storage_action_seconds_count${labels}`), 1)
      assert.equal(sampleOf(text, `registry_storage_action_seconds_sum${labels}`), 0.25)
    }
  })
})
