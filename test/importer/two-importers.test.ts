import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainStore } from '../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../../src/importer/chain/zfs/zfs-chain-store.ts'
import { DirectoryImageCatalog } from '../../src/importer/images/directory-image-catalog.ts'
import type { ImageRecord } from '../../src/importer/images/image-catalog.ts'
import type { ImportEvent } from '../../src/importer/import-service.ts'
import type { Importer } from '../../src/importer/importer.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { importerOver } from '../support/importer-over.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { file, tar } from '../support/tar.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { createPool, patientOnFuse } from '../support/zfs.ts'

/** Where several stores can be opened; gone when it is disposed. */
interface Place extends AsyncDisposable {
  readonly open: () => Promise<ChainStore>
}

async function directoryPlace(): Promise<Place> {
  const directory = await temporaryDirectory()
  return {
    open: () => DirectoryChainStore.open({ directory: join(directory.path, 'chains') }),
    [Symbol.asyncDispose]: () => directory.remove(),
  }
}

async function poolPlace(): Promise<Place> {
  const pool = await createPool()
  return {
    open: () => ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse }),
    [Symbol.asyncDispose]: () => pool.destroy(),
  }
}

class SlowCatalog extends DirectoryImageCatalog {
  override async list(): Promise<ImageRecord[]> {
    const records = await super.list()
    await sleep(40)
    return records
  }
}

const isRoot = process.getuid?.() === 0
twoImporters('directories', isRoot ? false : 'layers are applied as root', directoryPlace)
twoImporters('a pool', await skipWithout('zfs'), poolPlace)

/** Two importers with stores of their own share nothing but the place, as two processes do. */
function twoImporters(where: string, skip: string | false, openPlace: () => Promise<Place>): void {
  describe(`two importers over ${where}`, { skip }, () => {
    const shared = [0, 1, 2].map(index => tar(file(`shared${index}`, randomBytes(50_000))))
    let place: Place
    let registry: TestRegistry
    let client: RegistryClient
    let importers: readonly Importer[]
    let count = 0
    before(async () => {
      place = await openPlace()
      registry = await startRegistry()
      client = new RegistryClient(registry.url)
    })
    after(async () => {
      await registry.stop()
      await place[Symbol.asyncDispose]()
    })
    beforeEach(async () => {
      importers = [await importerOver(await place.open()), await importerOver(await place.open())]
    })
    afterEach(async () => {
      for (const importer of importers) await importer[Symbol.asyncDispose]()
    })

    async function push(layers: readonly Buffer[]): Promise<string> {
      const tag = String(count++)
      await pushTestImage(client, 'team/app', tag, { layers: [...layers] })
      return `${new URL(registry.url).host}/team/app:${tag}`
    }

    /** Two that look at the records long before they change them. */
    async function slowImporters(): Promise<AsyncDisposable & { readonly importers: [Importer, Importer] }> {
      await using opening = new AsyncDisposableStack()
      const one = async (): Promise<Importer> => {
        const chains = await place.open()
        return opening.use(await importerOver(chains, { catalog: new SlowCatalog(chains.recordsDirectory) }))
      }
      const opened: [Importer, Importer] = [await one(), await one()]
      const owned = opening.move()
      return { importers: opened, [Symbol.asyncDispose]: () => owned.disposeAsync() }
    }

    /** Every event of all imports together. */
    async function importAll(
      wanted: readonly (readonly [Importer | undefined, string])[],
    ): Promise<ImportEvent[]> {
      const events: ImportEvent[] = []
      const onEvent = (event: ImportEvent) => events.push(event)
      const importing = wanted.map(async ([importer, image]) => {
        assert.ok(importer)
        return await importer.import({ image, platform: defaultPlatform }, { onEvent })
      })
      const results = await Promise.all(importing)
      const applied = appliedIn(events)
      assert.equal(
        applied.length,
        results.reduce((sum, { imported }) => sum + imported, 0),
      )
      return events
    }

    function appliedIn(events: readonly ImportEvent[]): string[] {
      return events.flatMap(event => (event.type === 'layer-done' ? [event.chainId] : []))
    }

    it('apply each layer of one image once', async () => {
      const image = await push(shared)
      const events = await importAll([0, 1].map(index => [importers[index], image] as const))
      const applied = appliedIn(events)
      assert.deepEqual([applied.length, new Set(applied).size], [3, 3])
      assert.ok(events.some(({ type }) => type === 'waiting'))
    })

    it('apply each layer of overlapping images once, whatever the order', async () => {
      const own = [0, 1].map(index => tar(file(`own${index}`, randomBytes(50_000))))
      const later = tar(file('later', randomBytes(1000)))
      const images = [
        await push([...shared, ...own]),
        await push([...shared, ...own, later]),
        await push([...shared, ...own.toReversed()]),
        await push([...own]),
      ]
      const before = importers.map(importer => images.map(image => [importer, image] as const))
      const applied = appliedIn(await importAll(before.flat()))
      assert.equal(new Set(applied).size, applied.length)
      const { rootfs } = await (importers[1] ?? assert.fail()).clone(images[1] ?? '', parseCloneName('web'))
      assert.deepEqual(readdirSync(rootfs), ['later', 'own0', 'own1', 'shared0', 'shared1', 'shared2'])
      await importers[0]?.destroyClone(parseCloneName('web'))
    })

    it('record every name of an image that both import at once', async () => {
      await using both = await slowImporters()
      const layers = [tar(file('named', randomBytes(100)))]
      const names = await Promise.all([push(layers), push(layers), push(layers)])
      // So that there are only the names to record.
      await importAll([[importers[0], names[2] ?? '']])
      await Promise.all(
        both.importers.map((importer, index) =>
          importer.import({ image: names[index] ?? '', platform: defaultPlatform }),
        ),
      )
      for (const name of names) await importers[0]?.inspect(name)
      await importers[0]?.removeImage(names[0] ?? '')
    })

    it('record no image whose layers the other one removes', async () => {
      await using both = await slowImporters()
      const [first, second] = both.importers
      const layers = [tar(file('removed', randomBytes(100)))]
      const [image, sameImage] = [await push(layers), await push(layers)]
      for (let round = 0; round < 8; round += 1) {
        await first.import({ image, platform: defaultPlatform })
        await Promise.allSettled([
          first.removeImage(image),
          sleep(round * 5).then(() => second.import({ image: sameImage, platform: defaultPlatform })),
        ])
        for (const { manifestDigest, names } of await first.images()) {
          const inspected = await first.inspect(manifestDigest)
          assert.ok(
            inspected.layers.every(({ applied }) => applied !== undefined),
            `round ${round}: ${names.join(', ')} has no layers`,
          )
        }
      }
      for (const { manifestDigest } of await first.images()) await first.removeImage(manifestDigest)
    })

    it('finish what the other one gives up', async () => {
      const image = await push([tar(file('given', randomBytes(50_000))), tar(file('up', 'x'))])
      const controller = new AbortController()
      const begun = Promise.withResolvers<void>()
      const onEvent = ({ type }: ImportEvent) => type === 'layer-progress' && begun.resolve()
      const [first] = importers
      const given = first?.import(
        { image, platform: defaultPlatform },
        { signal: controller.signal, onEvent },
      )
      const ended = assert.rejects(given ?? Promise.resolve(), { name: 'AbortError' })
      await begun.promise
      const second = importAll([[importers[1], image]])
      controller.abort()
      await ended
      assert.ok(appliedIn(await second).length > 0)
    })
  })
}
