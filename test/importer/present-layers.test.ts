import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import type { ImportResult } from '../../src/importer/import-service.ts'
import type { Importer } from '../../src/importer/importer.ts'
import { KnownDiffIds } from '../../src/importer/known-diff-ids.ts'
import { defaultLayerLimits } from '../../src/importer/layer/limits.ts'
import { PresentLayers } from '../../src/importer/present-layers.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { parseImageName } from '../../src/storage/reference.ts'
import type { ImageSource, ResolvedImage } from '../../src/storage/remote/image-source.ts'
import { RegistryImageSource } from '../../src/storage/remote/registry-image-source.ts'
import { storeOf } from '../support/credential-store.ts'
import { importerOver } from '../support/importer-over.ts'
import { ImagePusher } from '../support/image-pusher.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { rejectsWith } from '../support/rejects.ts'
import { layersOf, ScriptedSource } from '../support/scripted-layers.ts'
import { serveScript } from '../support/scripted-server.ts'
import { servedImage } from '../support/served-image.ts'
import { dir, file, gzipOf, tar } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const secret = tar(dir('etc'), file('etc/secret', 'of somebody else'))
const mine = tar(file('etc/mine', 'mine'))

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('Layers that are here already', { skip }, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let importer: Importer
  let source: RegistryImageSource
  beforeEach(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    source = new RegistryImageSource({ credentials: storeOf({}) })
    const chains = await DirectoryChainStore.open({ directory: join(directory.path, 'chains') })
    importer = await importerOver(chains, { source })
  })
  afterEach(async () => {
    await importer[Symbol.asyncDispose]()
    await source[Symbol.asyncDispose]()
    await registry.stop()
    await directory.remove()
  })

  const host = () => new URL(registry.url).host
  const run = (image: string): Promise<ImportResult> => importer.import({ image, platform: defaultPlatform })
  /** @param says the layers that the config claims to have. */
  async function push(
    repository: string,
    blobs: readonly Buffer[],
    says: readonly Buffer[],
  ): Promise<string> {
    const config = {
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: says.map(layer => digestOf(layer)) },
    }
    const shape = { layers: blobs, config: Buffer.from(JSON.stringify(config)) }
    await new ImagePusher(registry.url).image(repository, '1', shape)
    return `${host()}/${repository}:1`
  }

  it('are used for whoever has their blobs', async () => {
    await run(await push('team/a', [gzipOf(secret)], [secret]))
    const shared = await run(await push('team/b', [gzipOf(secret), gzipOf(mine)], [secret, mine]))
    assert.deepEqual([shared.layers, shared.imported], [2, 1])
    assert.equal((await run(`${host()}/team/b:1`)).imported, 0)
  })

  it('are not had by naming their diff IDs with a blob of which this host knows that it is another', async () => {
    await run(await push('team/a', [gzipOf(secret)], [secret]))
    await run(await push('evil/known', [gzipOf(mine)], [mine]))
    await rejectsWith('digest_mismatch', run(await push('evil/liar', [gzipOf(mine)], [secret])))
  })

  it('are not had by naming their diff IDs with a blob that nobody knows', async () => {
    await run(await push('team/a', [gzipOf(secret)], [secret]))
    await rejectsWith('digest_mismatch', run(await push('evil/liar', [gzipOf(mine)], [secret])))
    const { length } = await importer.images()
    assert.equal(length, 1)
  })

  it('are used for whoever has the same content in another blob', async () => {
    await run(await push('team/a', [gzipOf(secret)], [secret]))
    const again = await run(await push('team/b', [gzipSync(secret, { level: 0 })], [secret]))
    assert.equal(again.imported, 0)
  })

  for (const [what, blobs] of [
    ['known', [gzipOf(secret)]],
    ['unknown', []],
  ] as const)
    it(`lend no content to ${what} blobs of others, where all images are everybody's`, async () => {
      const chains = await DirectoryChainStore.open({ directory: join(directory.path, 'open') })
      await using own = await importerOver(chains)
      const take = async (image: string): Promise<ImportResult> =>
        await own.import({ image, platform: defaultPlatform })
      if (blobs.length > 0) await take(await push('team/a', blobs, [secret]))
      await take(await push('evil/own', [gzipOf(mine)], [mine]))
      // With these blobs' UUID and that content, if it were published.
      await rejectsWith('digest_mismatch', take(await push('evil/liar', [gzipOf(secret)], [mine])))
    })

  it('are looked through once for an image that is recorded, after a restart too', async () => {
    const images = [
      await push('team/a', [gzipOf(secret)], [secret]),
      await push('team/b', [gzipSync(secret, { level: 0 })], [secret]),
    ]
    let opened = 0
    for (let start = 0; start < 2; start += 1) {
      const inner = new RegistryImageSource()
      const counting: ImageSource = {
        resolve: (image, options) => inner.resolve(image, options),
        openLayer: (image, layer, options) => {
          opened += 1
          return inner.openLayer(image, layer, options)
        },
        [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      }
      const chains = await DirectoryChainStore.open({ directory: join(directory.path, 'again') })
      await using own = await importerOver(chains, { source: counting })
      for (const image of images) await own.import({ image, platform: defaultPlatform })
    }
    assert.equal(opened, 2)
  })

  it('are not waited for without end where the source of an unknown blob says nothing more', async () => {
    const blob = gzipOf(secret)
    const [layer] = layersOf([blob])
    assert.ok(layer)
    const name = parseImageName('r.example/evil/slow:1')
    const image: ResolvedImage = {
      name,
      manifestDigest: digestOf(blob),
      configDigest: digestOf(blob),
      config: { os: 'linux', architecture: 'amd64', diffIds: [layer.diffId], process: {} },
      configBytes: blob,
      layers: [
        {
          ...layer,
          descriptor: { ...layer.descriptor, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' },
        },
      ],
    }
    const slow = new ScriptedSource([blob], new Map([[0, [{ bytes: 5, after: 'stall' }]]]))
    const diffIds = new KnownDiffIds({ diffIdsOf: async () => new Map() })
    const limits = { ...defaultLayerLimits, maxSeconds: 0.05 }
    const present = new PresentLayers({ source: slow, diffIds, limits }, image)
    assert.match((await rejectsWith('too_large', present.confirm(1))).message, /maxSeconds/)
    assert.equal(slow.open, 0)
  })

  for (const [what, withCredentials, heads] of [
    ['are asked for', true, 1],
    ["are not asked for where all images are everybody's", false, 0],
  ] as const)
    it(`${what} when another repository names them`, async () => {
      const { content, layerDigest } = servedImage()
      let hasLayer = true
      await using other = await serveScript(({ path }, response) => {
        const bytes = content.get(path.replace('/v2/b/', '/v2/a/'))
        const isLayer = path.endsWith(layerDigest)
        response.statusCode = bytes === undefined || (isLayer && !hasLayer) ? 404 : 200
        response.end(response.req.method === 'HEAD' ? undefined : bytes)
      })
      await using asking = new RegistryImageSource(withCredentials ? { credentials: storeOf({}) } : {})
      await using chains = await DirectoryChainStore.open({ directory: join(directory.path, 'others') })
      const own = await importerOver(chains, { source: asking })
      try {
        await own.import({ image: `${other.host}/a:1`, platform: defaultPlatform })
        await own.import({ image: `${other.host}/b:1`, platform: defaultPlatform })
        assert.equal(other.at(`/v2/b/blobs/${layerDigest}`).length, heads)
        hasLayer = false
        const once = own.import({ image: `${other.host}/b:1`, platform: defaultPlatform })
        if (!withCredentials) assert.equal((await once).imported, 0)
        else assert.match((await rejectsWith('not_found', once)).message, /is not used for it/)
      } finally {
        await own[Symbol.asyncDispose]()
      }
    })
})
