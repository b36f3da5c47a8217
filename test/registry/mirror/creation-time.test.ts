import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { creationTimeOf } from '../../../src/registry/mirror/creation-time.ts'
import { CreationTimes } from '../../../src/registry/mirror/creation-times.ts'
import { newestByTime } from '../../../src/registry/mirror/newest-by-time.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRegistry } from '../../support/memory-images.ts'
import { rejectsWith } from '../../support/rejects.ts'

const created = '2024-05-06T07:08:09.123456789Z'
const time = Date.parse(created)

function place(make: (graph: ImageGraph) => StoredManifest) {
  const graph = new ImageGraph()
  const image = make(graph)
  const [source, target] = ['source', 'target'].map(label => new MemoryRegistry(label))
  if (source === undefined || target === undefined) throw new Error('two registries')
  source.at('acme/web').take(graph)
  const name = parseRepositoryName('acme/web')
  const ends = { source: source.repository(name), target: target.repository(name) }
  return { graph, image, source, target, ends, time: () => creationTimeOf(ends, image, [], {}) }
}

describe('when an image says that it was made', () => {
  it('by its annotation, by its config, and by that of the right child', async () => {
    const annotations = { 'org.opencontainers.image.created': created }
    const config = JSON.stringify({ created })
    assert.equal(await place(graph => graph.image({ layers: [], annotations })).time(), time)
    assert.equal(await place(graph => graph.image({ layers: [], config })).time(), time)
    const index = place(graph =>
      graph.index([
        { child: graph.image({ layers: ['a'] }), platform: { os: 'linux', architecture: 'arm64' } },
        { child: graph.image({ layers: [], config }), platform: { os: 'linux', architecture: 'amd64' } },
      ]),
    )
    assert.equal(await index.time(), time)
    const arm = [{ os: 'linux', architecture: 'arm64' }]
    assert.equal(await creationTimeOf(index.ends, index.image, arm, {}), 0)
    assert.equal(await place(graph => graph.index([], { annotations })).time(), time)
  })

  it('never, for what says nothing, or nonsense, or is broken', async () => {
    for (const config of ['{}', '[]', 'null', '{"created":7}', '{"created":"soon"}', 'not JSON'])
      assert.equal(await place(graph => graph.image({ layers: [], config })).time(), 0, config)
    assert.equal(await place(graph => graph.index([])).time(), 0)
    const config = JSON.stringify({ created })
    const absent = place(graph => graph.image({ layers: [], config }))
    absent.source.at('acme/web').blobs.clear()
    assert.equal(await absent.time(), 0)
    const other = place(graph => graph.image({ layers: [], config }))
    const bytes = Buffer.from(JSON.stringify({ created: created.replace('2024', '2034') }))
    other.source.at('acme/web').blobs.set(digestOf(Buffer.from(config)), bytes)
    assert.equal(await other.time(), 0, 'other bytes')
    const huge = place(graph =>
      graph.add({
        mediaType: mediaTypes.ociManifest,
        config: { mediaType: mediaTypes.ociConfig, digest: digestOf(Buffer.from('x')), size: 1e12 },
        layers: [],
      }),
    )
    assert.equal(await huge.time(), 0)
    assert.equal(huge.source.takeCounts().blob, undefined)
  })

  it('is read at the target where that has it', async () => {
    const {
      graph,
      source,
      target,
      time: ask,
    } = place(graph => graph.image({ layers: [], config: JSON.stringify({ created }) }))
    target.at('acme/web').take(graph)
    assert.equal(await ask(), time)
    assert.deepEqual(source.requests, [])
  })
})

describe('the newest by time', () => {
  it('looks at a thousand at most', async () => {
    const { ends, source } = place(graph => graph.image({ layers: [] }))
    const tags = Array.from({ length: 1001 }, (_, index) => parseTag(`v${index}`))
    const options = { count: 1, platforms: [], concurrency: 3, times: new CreationTimes() }
    const { message } = await rejectsWith('too_large', newestByTime(ends, tags, options))
    assert.match(message, /^1001 tags of source\/acme\/web fit/)
    assert.deepEqual(source.requests, [])
  })

  it('passes over what is gone, and asks no more once something fails', async () => {
    const { ends, source, image } = place(graph => graph.image({ layers: [] }))
    source.at('acme/web').tag('v1', image)
    const tags = ['v0', 'v1'].map(parseTag)
    const options = { count: 5, platforms: [], concurrency: 3, times: new CreationTimes() }
    const found = await newestByTime(ends, tags, options)
    assert.deepEqual(
      found.map(({ tag }) => tag),
      ['v1'],
    )
    source.requests = []
    source.onRequest = () => {
      throw new Error('broken')
    }
    const many = Array.from({ length: 500 }, (_, index) => parseTag(`v${index}`))
    await assert.rejects(newestByTime(ends, many, options), /broken/)
    await new Promise(setImmediate)
    assert.ok(source.requests.length < 10, `${source.requests.length} requests`)
  })
})
