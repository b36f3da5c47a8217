import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type ErrorCode, isDomainError } from '../../src/errors.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import { DirectoryImageCatalog } from '../../src/importer/images/directory-image-catalog.ts'
import type { ImportEvent } from '../../src/importer/import-service.ts'
import { Importer } from '../../src/importer/importer.ts'
import { defaultLayerLimits } from '../../src/importer/layer/limits.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { defaultPlatform, parsePlatform } from '../../src/storage/platform.ts'
import { RegistryImageSource } from '../../src/storage/remote/registry-image-source.ts'
import { type TestRegistry, startRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { dir, file, tar, whiteout } from '../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage, pushTestIndex } from '../support/test-images.ts'

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
    return new Importer({
      source: new RegistryImageSource(),
      chains,
      catalog: new DirectoryImageCatalog(chains.recordsDirectory),
      limits: defaultLayerLimits,
    })
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
    assert.equal((clone.config as { architecture: string }).architecture, 'amd64')
    assert.deepEqual(
      (await importer.images()).map(({ names, layers }) => [names, layers]),
      [[[name(':1')], 2]],
    )
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
