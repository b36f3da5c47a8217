import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startPullThrough } from '../../support/pull-through-registry.ts'
import { startRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

describe('two replicas before one upstream', { timeout: 60_000 }, () => {
  let stack: AsyncDisposableStack
  let source: RegistryClient
  let upstream: CountedUpstream
  let directory: string
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    const { url } = stack.use(await startRegistry())
    source = new RegistryClient(url)
    upstream = stack.use(await countUpstream(url))
    directory = stack.use(await temporaryDirectory()).path
  })
  afterEach(() => stack.disposeAsync())

  async function replica(now: () => number): Promise<(reference: string) => Promise<string | undefined>> {
    const upstreams = [{ name: 'there', registry: upstream.host, prefix: 'up' }]
    const { url } = stack.use(await startPullThrough({ upstreams, directory, now }))
    const client = new RegistryClient(url)
    return async reference =>
      (await client.send('GET', `/v2/up/a/manifests/${reference}`)).headers['docker-content-digest']
  }

  it('believe what one of them has been told', async () => {
    const digest = await source.pushImage('a', '1', Buffer.from('layer'))
    const now = () => 1_000_000
    const [one, two] = [await replica(now), await replica(now)]
    assert.equal(await one('1'), digest)
    upstream.take()
    assert.equal(await two('1'), digest)
    assert.equal(await two(digest), digest)
    assert.deepEqual(upstream.take(), [])
  })

  it('leave a tag where the later question has put it, whichever answer comes last', async () => {
    const old = await source.pushImage('a', '1', Buffer.from('old'))
    const asked = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    let heads = 0
    upstream.answers = async (request, response) => {
      if (request.method !== 'HEAD') return false
      heads += 1
      if (heads > 1) return false
      asked.resolve()
      await opened.promise
      response
        .writeHead(200, {
          'content-type': mediaTypes.ociManifest,
          'content-length': '300',
          'docker-content-digest': old,
        })
        .end()
      return true
    }
    const early = await replica(() => 1_000_000)
    const late = await replica(() => 1_000_001)
    const answer = early('1')
    await asked.promise
    const young = await source.pushImage('a', '1', Buffer.from('young'))
    assert.equal(await late('1'), young)
    opened.resolve()
    assert.equal(await answer, young)
    assert.equal(await late('1'), young)
    assert.equal(await early('1'), young)
  })
})
