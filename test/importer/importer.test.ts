import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type ErrorCode, isDomainError } from '../../src/errors.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import type { ImportEvent } from '../../src/importer/import-service.ts'
import type { Importer } from '../../src/importer/importer.ts'
import type { LayerPromise } from '../../src/importer/layer/decode/decompress.ts'
import { ThreadedLayerEngine } from '../../src/importer/layer/engine/threaded-layer-engine.ts'
import type { LayerEngine } from '../../src/importer/layer/layer-engine.ts'
import { orAbort } from '../../src/storage/abortable.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { defaultPlatform, parsePlatform } from '../../src/storage/platform.ts'
import type { ImageSource } from '../../src/storage/remote/image-source.ts'
import { RegistryImageSource } from '../../src/storage/remote/registry-image-source.ts'
import { importerOver } from '../support/importer-over.ts'
import { openFilesBelow } from '../support/open-files.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { characterDevice, dir, file, gzipOf, tar, whiteout } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage, pushTestIndex } from '../support/test-images.ts'
import { manifestFaults } from '../support/triton-rules.ts'

const base = tar(dir('etc'), file('etc/name', 'base'), file('etc/old', 'old'))
const change = tar(file('etc/name', 'changed'), whiteout('etc/old'))
const other = tar(file('etc/name', 'other'))
const arm64 = parsePlatform('linux/arm64')

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

describe('Importer', { skip }, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let client: RegistryClient
  let importer: Importer

  beforeEach(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    client = new RegistryClient(registry.url)
    importer = await openImporter()
  })
  afterEach(async () => {
    await importer[Symbol.asyncDispose]()
    await registry.stop()
    await directory.remove()
  })

  async function openImporter(): Promise<Importer> {
    const chains = await DirectoryChainStore.open({ directory: chainsDirectory() })
    return await importerOver(chains)
  }

  function chainsDirectory(): string {
    return join(directory.path, 'chains')
  }

  /** What a failed or an aborted import may not leave. */
  function leftovers(): string[] {
    return ['building', 'chains', 'clones', 'images'].flatMap(name =>
      readdirSync(join(chainsDirectory(), name)).map(entry => `${name}/${entry}`),
    )
  }

  function name(reference: string): string {
    return `${new URL(registry.url).host}/team/app${reference}`
  }

  async function run(image: string, platform = defaultPlatform): Promise<ImportEvent[]> {
    const events: ImportEvent[] = []
    await importer.import({ image, platform }, { onEvent: event => events.push(event) })
    return events
  }

  function applied(events: readonly ImportEvent[]): number {
    return events.filter(({ type }) => type === 'layer-done').length
  }

  async function refused(
    image: string,
    code: ErrorCode,
    words: RegExp,
    platform = defaultPlatform,
  ): Promise<void> {
    await assert.rejects(importer.import({ image, platform }), error => {
      assert.ok(isDomainError(error, code), String(error))
      assert.match(error.message, words)
      return true
    })
    assert.deepEqual(leftovers(), [])
  }

  it('imports an image and clones it', async () => {
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    const result = await importer.import({ image: name(':1'), platform: defaultPlatform })
    assert.deepEqual([result.manifestDigest, result.layers, result.imported], [digest, 2, 2])

    const clone = await importer.clone(name(':1'), parseCloneName('web1'))
    assert.equal(readFileSync(join(clone.rootfs, 'etc/name'), 'utf8'), 'changed')
    assert.deepEqual(readdirSync(join(clone.rootfs, 'etc')), ['name'])
    assert.deepEqual(clone.process.Cmd, ['/bin/sh'])
    assert.ok('args' in clone.run)
    assert.deepEqual(clone.run.args, ['/bin/sh'])
    assert.deepEqual([clone.run.user.uid, clone.run.cwd], [0, '/'])
    assert.equal((clone.config as { architecture: string }).architecture, 'amd64')
    assert.deepEqual(
      (await importer.images()).map(({ names, layers }) => [names, layers]),
      [[[name(':1')], 2]],
    )
  })

  it('tells what becomes of each layer: applied, committed, done', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    const events = await run(name(':1'))
    const [resolved] = events
    assert.ok(resolved?.type === 'resolved')
    for (const [index, { size }] of resolved.layers.entries()) {
      const its = events.filter(event => 'layer' in event && event.layer === index)
      const phases = its.map(event => (event.type === 'layer-progress' ? event.phase : event.type))
      assert.deepEqual(
        phases.filter(phase => phase !== 'download'),
        ['apply', 'commit', 'layer-done'],
      )
      const [commit, done] = its.slice(-2)
      assert.ok(commit?.type === 'layer-progress' && done?.type === 'layer-done')
      assert.deepEqual([commit.size, commit.blobBytes], [size, size])
      assert.deepEqual([commit.entries, commit.bytes], [done.report.entries, done.report.bytes])
    }
  })

  it('does nothing the second time, also after a restart', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    assert.equal(applied(await run(name(':1'))), 2)
    assert.equal(applied(await run(name(':1'))), 0)
    await importer[Symbol.asyncDispose]()
    importer = await openImporter()
    assert.equal((await importer.import({ image: name(':1'), platform: defaultPlatform })).imported, 0)
  })

  it('applies only the layers that another image does not share', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    await pushTestImage(client, 'team/app', '2', { layers: [base, other] })
    await run(name(':1'))
    assert.equal(applied(await run(name(':2'))), 1)
    const clone = await importer.clone(name(':2'), parseCloneName('web2'))
    assert.deepEqual(readdirSync(join(clone.rootfs, 'etc')), ['name', 'old'])
  })

  it('applies each layer once when two imports of an image run at once', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    const both = await Promise.all([run(name(':1')), run(name(':1'))])
    assert.equal(applied(both.flat()), 2)
  })

  it('lets the other import finish when the first of two is aborted', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    const controller = new AbortController()
    const first = importer.import(
      { image: name(':1'), platform: defaultPlatform },
      { signal: controller.signal, onEvent: () => controller.abort() },
    )
    const second = run(name(':1'))
    await assert.rejects(first, { name: 'AbortError' })
    assert.equal(applied(await second), 2)
  })

  it('takes the platform that was asked for from an index', async () => {
    const amd = await pushTestImage(client, 'team/app', 'amd', { layers: [base] })
    const arm = await pushTestImage(client, 'team/app', 'arm', { layers: [other], platform: arm64 })
    await pushTestIndex(client, 'team/app', 'all', [
      { digest: amd, platform: defaultPlatform },
      { digest: arm, platform: arm64 },
    ])
    const result = await importer.import({ image: name(':all'), platform: arm64 })
    assert.equal(result.manifestDigest, arm)
    assert.equal(
      (await importer.import({ image: name(':all'), platform: defaultPlatform })).manifestDigest,
      amd,
    )
  })

  it('refuses an image for another platform and says which there are', async () => {
    const arm = await pushTestImage(client, 'team/app', 'arm', { layers: [other], platform: arm64 })
    await pushTestIndex(client, 'team/app', 'all', [{ digest: arm, platform: arm64 }])
    await refused(name(':all'), 'not_found', /no image for linux\/amd64; it has: linux\/arm64/)
    await refused(name(':arm'), 'not_found', /no image for linux\/amd64; it has: linux\/arm64/)
  })

  it('refuses a layer whose diff ID does not match, and leaves nothing', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base], diffIds: [digestOf(change)] })
    await refused(name(':1'), 'digest_mismatch', /sha256:/)
  })

  it('keeps the good layers below a bad one, and nothing of the bad one', async () => {
    await pushTestImage(client, 'team/app', '1', {
      layers: [base, change],
      diffIds: [digestOf(base), digestOf(other)],
    })
    await assert.rejects(run(name(':1')), error => isDomainError(error, 'digest_mismatch'))
    assert.deepEqual(readdirSync(join(chainsDirectory(), 'building')), [])
    assert.deepEqual(readdirSync(join(chainsDirectory(), 'images')), [])
    await pushTestImage(client, 'team/app', '2', { layers: [base, change] })
    assert.equal(applied(await run(name(':2'))), 1)
  })

  it('refuses a layer that is no tar, and leaves nothing', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [Buffer.alloc(4096, 'x')] })
    await refused(name(':1'), 'invalid', /layer/)
  })

  it('refuses an image whose config names another number of layers', async () => {
    await pushTestImage(client, 'team/app', '1', {
      layers: [base],
      diffIds: [digestOf(base), digestOf(change)],
    })
    await refused(name(':1'), 'invalid', /1 layers, but its config names 2 diff IDs/)
  })

  it('refuses what is no container image', async () => {
    await client.pushImage('team/app', 'artifact', base)
    await refused(name(':artifact'), 'invalid', /config/)
  })

  it('says which image is not there', async () => {
    await refused(name(':absent'), 'not_found', /team\/app/)
  })

  it('says that the registry does not answer', async () => {
    const gone = name(':1')
    await registry.stop()
    await refused(gone, 'unavailable', /does not answer/)
  })

  it('notices when the object of a layer is not the blob', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base] })
    corruptLargestObject(join(registry.directory, 'objects'))
    await assert.rejects(run(name(':1')))
    assert.deepEqual(leftovers(), [])
  })

  it('shows an image with its layers, and what applying them did', async () => {
    const odd = tar(file('etc/name', 'odd'), characterDevice('dev/null'), whiteout('etc/old'))
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [base, odd] })
    await run(name(':1'))
    const image = await importer.inspect(name(':1'))
    const { layers, config, process, triton, ...rest } = image
    const [summary] = await importer.images()
    assert.deepEqual({ ...rest, layers: 2 }, summary)
    assert.equal(image.manifestDigest, digest)
    assert.deepEqual(process.Cmd, ['/bin/sh'])
    assert.equal((config as { os: string }).os, 'linux')
    assert.deepEqual(manifestFaults(triton?.manifest ?? {}), [])
    assert.equal(triton?.payload.image_uuid, triton?.manifest.uuid)
    assert.deepEqual(
      layers.map(({ diffId, applied }) => [
        diffId,
        applied?.entries,
        applied?.bytes,
        applied?.notes?.whiteouts,
      ]),
      [
        [digestOf(base), 3, 7, 0],
        [digestOf(odd), 3, 3, 1],
      ],
    )
    assert.equal(layers[1]?.applied?.notes?.skippedDevices, 1)
    assert.equal(layers[1]?.chainId, image.chainId)
    await assert.rejects(importer.inspect(name(':2')), error => isDomainError(error, 'not_found'))
  })

  it('says which snapshots of an image are gone', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    await run(name(':1'))
    const [, top] = (await importer.inspect(name(':1'))).layers
    rmSync(top?.applied?.location ?? '', { recursive: true })
    const { layers } = await importer.inspect(name(':1'))
    assert.deepEqual(
      layers.map(({ applied }) => applied !== undefined),
      [true, false],
    )
  })

  describe('with layers on their way', () => {
    const layers = [0, 1, 2, 3, 4].map(index => tar(file(`f${index}`, randomBytes(200_000))))
    const first = digestOf(gzipOf(layers[0] ?? Buffer.alloc(0)))

    /** The first layer comes when all others have been asked for, or when it has been given up. */
    async function openWaiting(onLaterAsked: () => void = () => {}): Promise<void> {
      await importer[Symbol.asyncDispose]()
      const registrySource = new RegistryImageSource()
      const others = Promise.withResolvers<void>()
      let asked = 0
      const source: ImageSource = {
        resolve: (image, options) => registrySource.resolve(image, options),
        openLayer: async (image, layer, options) => {
          if (layer.digest === first) await orAbort(others.promise, options?.signal)
          else if (++asked === layers.length - 1) others.resolve()
          else onLaterAsked()
          return await registrySource.openLayer(image, layer, options)
        },
        [Symbol.asyncDispose]: () => registrySource[Symbol.asyncDispose](),
      }
      const chains = await DirectoryChainStore.open({ directory: chainsDirectory() })
      importer = await importerOver(chains, { source })
    }

    it('downloads the later ones while the first one comes, and leaves no file open', async () => {
      await openWaiting()
      await pushTestImage(client, 'team/app', '1', { layers })
      const events = await run(name(':1'))
      const done = events.flatMap(event => (event.type === 'layer-done' ? [event.layer] : []))
      assert.deepEqual(done, [0, 1, 2, 3, 4])
      assert.ok(events.some(event => event.type === 'layer-progress' && event.phase === 'download'))
      const { rootfs } = await importer.clone(name(':1'), parseCloneName('web1'))
      assert.deepEqual(readdirSync(rootfs), ['f0', 'f1', 'f2', 'f3', 'f4'])
      assert.deepEqual(openFilesBelow(chainsDirectory()), [])
    })

    it('lets go of all of them when it is aborted', async () => {
      const controller = new AbortController()
      await openWaiting(() => setImmediate(() => controller.abort()))
      await pushTestImage(client, 'team/app', '1', { layers })
      const running = importer.import({ image: name(':1'), platform: defaultPlatform }, controller)
      await assert.rejects(running, { name: 'AbortError' })
      assert.deepEqual(leftovers(), [])
      assert.deepEqual(openFilesBelow(chainsDirectory()), [])
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
    })
  })

  describe('that has computed a diff ID itself', () => {
    let promises: LayerPromise[] = []
    beforeEach(async () => {
      await importer[Symbol.asyncDispose]()
      promises = []
      importer = await openRecording()
      await pushTestImage(client, 'team/app', '1', { layers: [base] })
      await run(name(':1'))
    })

    /** An importer whose engine tells what it is told of layers. */
    async function openRecording(): Promise<Importer> {
      const engine = new ThreadedLayerEngine()
      const recording: LayerEngine = {
        limits: engine.limits,
        open: (source, promise) => {
          promises.push(promise)
          return engine.open(source, promise)
        },
        [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
      }
      return await importerOver(await DirectoryChainStore.open({ directory: chainsDirectory() }), {
        engine: recording,
      })
    }

    const known = (): unknown => promises.at(-1)?.knownDiffId

    it('tells the engine, so that it is not computed again: for the same blob on another base', async () => {
      assert.equal(known(), undefined)
      await pushTestImage(client, 'team/app', '2', { layers: [other, base] })
      await run(name(':2'))
      assert.equal(known(), digestOf(base))
    })

    it('remembers it after a restart, and after the image is gone', async () => {
      await importer[Symbol.asyncDispose]()
      importer = await openRecording()
      await pushTestImage(client, 'team/app', '2', { layers: [other, base] })
      await run(name(':2'))
      assert.equal(known(), digestOf(base))
      await importer.removeImage(name(':2'))
      await importer.removeImage(name(':1'))
      await run(name(':1'))
      assert.equal(known(), digestOf(base))
    })

    it('refuses a config that says another one, and takes nothing from it', async () => {
      await pushTestImage(client, 'team/app', '2', {
        layers: [base, change],
        diffIds: [digestOf(change), digestOf(change)],
      })
      await assert.rejects(run(name(':2')), error => isDomainError(error, 'digest_mismatch'))
      assert.equal(promises[1]?.knownDiffId, digestOf(base))
      assert.equal((await importer.images()).length, 1)
    })
  })

  it('removes an image with the layers that nothing else needs', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base, change] })
    await pushTestImage(client, 'team/app', '2', { layers: [base, other] })
    await run(name(':1'))
    await run(name(':2'))
    assert.equal((await importer.removeImage(name(':1'))).removedChains, 1)
    assert.equal((await importer.removeImage(name(':2'))).removedChains, 2)
    assert.deepEqual(leftovers(), [])
  })

  it('keeps an image while a clone needs it', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base] })
    await run(name(':1'))
    await importer.clone(name(':1'), parseCloneName('web1'))
    await assert.rejects(
      importer.removeImage(name(':1')),
      error => isDomainError(error, 'conflict') && error.message.includes('web1'),
    )
    await importer.destroyClone(parseCloneName('web1'))
    await importer.removeImage(name(':1'))
    assert.deepEqual(leftovers(), [])
  })

  it('removes an image while a clone needs its layers, when another image has them as well', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base] })
    await pushTestImage(client, 'team/app', '2', { layers: [base], config: { author: 'somebody else' } })
    await run(name(':1'))
    await run(name(':2'))
    await importer.clone(name(':1'), parseCloneName('web1'))
    assert.equal((await importer.removeImage(name(':2'))).removedChains, 0)
    assert.equal((await importer.images()).length, 1)
  })

  it('ends running imports when it is closed, and leaves nothing', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [base] })
    const closing = Promise.withResolvers<void>()
    const running = importer.import(
      { image: name(':1'), platform: defaultPlatform },
      { onEvent: () => closing.resolve(importer[Symbol.asyncDispose]()) },
    )
    await assert.rejects(running, { name: 'AbortError' })
    await closing.promise
    assert.deepEqual(leftovers(), [])
    importer = await openImporter()
  })
})

function corruptLargestObject(root: string): void {
  const objects = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
  const [largest = ''] = objects.sort((a, b) => statSync(b).size - statSync(a).size)
  const object = openSync(largest, 'r+')
  writeSync(object, Buffer.from([0xff]), 0, 1, 20)
  closeSync(object)
}
