/** An image of as many layers as Docker's builders make at most, and one that shares most of them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ChainStore } from '../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import type { ImportEvent } from '../../../src/importer/import-service.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import { importerOver } from '../../support/importer-over.ts'
import { skipWithout } from '../../support/programs.ts'
import { readFiles } from '../../support/read-files.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { file, tar, whiteout } from '../../support/tar.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'
import { createPool, patientOnFuse } from '../../support/zfs.ts'

const layerCount = 125
const sharedCount = 100
const withoutZfs = await skipWithout('zfs')
/** Every so many layers, one hides the file of the layer below it. */
const whiteoutEvery = 10

/** One file in each layer, and one that every layer changes. */
function layersOf(variant: string): Buffer[] {
  return Array.from({ length: layerCount }, (_, layer) => {
    const text = textOf(variant, layer)
    const hidden = hides(layer) ? [whiteout(`layers/${layer - 1}`)] : []
    return tar(file(`layers/${layer}`, text), file('last', text), ...hidden)
  })
}

function contentOf(variant: string): Record<string, string> {
  const numbers = Array.from({ length: layerCount }, (_, layer) => layer).filter(layer => !hides(layer + 1))
  const files = numbers.map(layer => [`layers/${layer}`, textOf(variant, layer)] as const)
  return Object.fromEntries([...files, ['last', textOf(variant, layerCount - 1)]])
}

function textOf(variant: string, layer: number): string {
  return layer < sharedCount ? `layer ${layer}` : `layer ${layer} of ${variant}`
}

function hides(layer: number): boolean {
  return layer > 0 && layer < layerCount && layer % whiteoutEvery === 0
}

describe(`an image of ${layerCount} layers`, { timeout: 900_000 }, () => {
  let registry: TestRegistry

  before(async () => {
    registry = await startRegistry()
    const client = new RegistryClient(registry.url)
    for (const variant of ['one', 'two'])
      await pushTestImage(client, 'team/tall', variant, { layers: layersOf(variant) })
  })
  after(() => registry.stop())

  async function importBoth(store: ChainStore): Promise<void> {
    await using importer = await importerOver(store)
    const images: readonly [variant: string, expected: number][] = [
      ['one', layerCount],
      ['two', layerCount - sharedCount],
    ]
    for (const [variant, expected] of images) {
      const image = `${new URL(registry.url).host}/team/tall:${variant}`
      let applied = 0
      const onEvent = ({ type }: ImportEvent): void => {
        if (type === 'layer-done') applied += 1
      }
      const { imported, layers } = await importer.import({ image, platform: defaultPlatform }, { onEvent })
      assert.deepEqual(
        { imported, applied, layers },
        { imported: expected, applied: expected, layers: layerCount },
      )
      const { rootfs } = await importer.clone(image, parseCloneName(variant))
      assert.deepEqual(readFiles(rootfs), contentOf(variant))
    }
    for (const [variant] of images) {
      await importer.destroyClone(parseCloneName(variant))
      await importer.removeImage(`${new URL(registry.url).host}/team/tall:${variant}`)
    }
    assert.deepEqual(await Array.fromAsync(store.walk()), [])
  }

  it('is imported into a directory, and one that shares 100 of them imports 25', {
    skip: process.getuid?.() !== 0 && 'needs root',
  }, async () => {
    await using directory = await temporaryDirectory()
    await importBoth(await DirectoryChainStore.open({ directory: join(directory.path, 'chains') }))
  })

  it('is imported into a pool, and one that shares 100 of them imports 25', {
    skip: withoutZfs,
  }, async () => {
    const pool = await createPool()
    try {
      await importBoth(await ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse }))
    } finally {
      await pool.destroy()
    }
  })
})
