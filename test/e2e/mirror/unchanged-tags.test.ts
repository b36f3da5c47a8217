/** What a thousand tags cost a registry that nobody pushes to: counted by who stands in front of it. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { type CountedUpstream, countUpstream } from '../../support/counted-upstream.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithout } from '../../support/programs.ts'
import { runVarve } from '../../support/run-varve.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const tags = Array.from({ length: 1000 }, (_, index) => `v1.${index}`)
/** There are others, for most tags of a real repository name what another names, too. */
const images = 20

describe('A second pass over 1,000 unchanged tags', { skip: await skipWithout('docker-registry') }, () => {
  const stack = new AsyncDisposableStack()
  let directory: string
  let upstream: CountedUpstream
  /** Also those that say nothing of an image, such as `GET /v2/`. */
  let requests: string[] = []

  before(async () => {
    directory = stack.use(await temporaryDirectory()).path
    const registry = await startDockerRegistry(join(directory, 'source'))
    stack.defer(() => registry.stop())
    const pusher = new ImagePusher(registry.url)
    for (let index = 0; index < images; index += 1) {
      const named = tags.filter((_, at) => at % images === index)
      const layers = [Buffer.from(`layer ${index}`)]
      const { bytes, mediaType } = await pusher.image('acme/app', named[0], { layers })
      for (const tag of named.slice(1)) await pusher.manifest('acme/app', tag, bytes, mediaType)
    }
    upstream = stack.use(await countUpstream(registry.url))
    upstream.answers = ({ method, url }) => {
      requests.push(`${method} ${url}`)
      return false
    }
  })
  after(() => stack.disposeAsync())

  async function run(job: string, selection: object): Promise<{ totals: object; asked: string[] }> {
    const file = join(directory, `${job}.yaml`)
    const source = { registry: upstream.host }
    const limits = { concurrency: 16 }
    const target = { prefix: `${job}/` }
    await writeFile(
      file,
      stringify({ name: job, source, target, repositories: ['acme/app'], tags: selection, limits }),
    )
    requests = []
    const data = join(directory, 'data')
    const { code, stdout, stderr } = await runVarve([
      ...['mirror', 'run', '--file', file, '--data', data, '--json'],
    ])
    assert.equal(code, 0, stderr)
    return { totals: JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '').totals, asked: requests }
  }

  const heads = tags.map(tag => `HEAD /v2/acme/app/manifests/${tag}`).sort()
  const unchanged = { copied: 0, unchanged: tags.length, skipped: 0, failed: 0, deleted: 0, bytesReceived: 0 }

  it('costs 1,000 HEADs and nothing else, where the tags are named', async () => {
    await run('named', { names: tags })
    const { totals, asked } = await run('named', { names: tags })
    assert.deepEqual(asked.sort(), heads)
    assert.partialDeepStrictEqual(totals, { ...unchanged, requests: tags.length })
  })

  it('costs the list of tags and 1,000 HEADs, where patterns say which are meant', async () => {
    const selection = { include: ['v1\\..*'] }
    await run('listed', selection)
    const { totals, asked } = await run('listed', selection)
    const lists = asked.filter(request => request.startsWith('GET /v2/acme/app/tags/list'))
    assert.ok(lists.length >= 1)
    assert.deepEqual(asked.filter(request => !lists.includes(request)).sort(), heads)
    assert.partialDeepStrictEqual(totals, { ...unchanged, requests: tags.length + lists.length })
    // Pages of as many as it takes at once, and no page twice.
    assert.equal(new Set(lists).size, lists.length)
  })
})
