import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import type { ChainStore } from '../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { DirectoryImageCatalog } from '../../../src/importer/images/directory-image-catalog.ts'
import { LastUse } from '../../../src/importer/images/last-use.ts'
import type { PruneReport } from '../../../src/importer/import-service.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import { type PruneParts, prune } from '../../../src/importer/prune/prune.ts'
import { buildLayer, filesIn, walked } from '../../contract/chain-store/suite.ts'
import { type FakeLayer, layerOn } from '../../support/fake-layers.ts'
import { imageRecord } from '../../support/image-records.ts'
import { importerOver } from '../../support/importer-over.ts'
import { seededRandom } from '../../support/seeded-random.ts'

export interface PruneSuite {
  readonly skip: string | false
  /** Stores of random content that a dry run is tried on. */
  readonly rounds: number
  readonly open: () => Promise<PrunableStores>
}

export interface PrunableStores {
  /** An empty store, as often as it is called. */
  readonly fresh: () => Promise<ChainStore>
  readonly destroy: () => Promise<void>
}

/** bottom─middle─top, and side on bottom: with an image that ends in each. */
const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const side = layerOn(bottom, 'side')
const layers = [bottom, middle, top, side]
const belowOf = new Map([
  [middle, bottom],
  [top, middle],
  [side, bottom],
])
const web = parseCloneName('web')

const dayMs = 24 * 60 * 60 * 1000
const daySeconds = dayMs / 1000
const now = Date.now()

export function pruneSuite(name: string, { skip, rounds, open }: PruneSuite): void {
  describe(`prune on ${name}`, { skip }, () => {
    let stores: PrunableStores
    before(async () => {
      stores = await open()
    })
    after(() => stores.destroy())

    it('removes nothing without a bound, and nothing on a dry run, which tells what would go', async () => {
      await using place = await Place.make(stores)
      const { importer } = place
      assert.deepEqual((await importer.prune({})).removed, [])
      const foreseen = await importer.prune({ unusedSeconds: 15 * daySeconds, dryRun: true })
      assert.equal((await walked(place.chains)).snapshots.length, layers.length)
      assert.equal((await importer.images()).length, layers.length)
      const done = await importer.prune({ unusedSeconds: 15 * daySeconds })
      assert.deepEqual(done, foreseen)
      assert.deepEqual(namesIn(done), ['x/top:1', 'x/middle:1'])
      assert.deepEqual(
        done.removed.map(({ removedChains }) => removedChains),
        [1, 1],
      )
      assert.ok(done.usedBytesAfter <= done.usedBytesBefore)
      assert.deepEqual(await place.chainsLeft(), [bottom, side])
    })

    it('keeps what a clone was made from, until it is gone', async () => {
      await using place = await Place.make(stores)
      const { importer } = place
      const clone = await place.chains.clone(middle.chain, web)
      const report = await importer.prune({ targetBytes: 0 })
      assert.deepEqual(namesIn(report), ['x/top:1', 'x/side:1'])
      assert.deepEqual(report.kept, [
        { image: 'x/middle:1', reason: 'a clone was made from it (web)' },
        { image: 'x/bottom:1', reason: 'removing it frees nothing, for its layers are needed by others' },
      ])
      assert.deepEqual(await filesIn(clone.rootfs), ['bottom', 'middle'])
      await importer.destroyClone(web)
      const rest = await importer.prune({ targetBytes: 0 })
      assert.deepEqual([rest.kept, rest.usedBytesAfter], [[], 0])
      assert.deepEqual(await place.chainsLeft(), [])
    })

    it('stops at its target', async () => {
      await using place = await Place.make(stores)
      const { importer } = place
      const { usedBytesBefore } = await importer.prune({})
      const foreseen = await importer.prune({ targetBytes: usedBytesBefore - 1, dryRun: true })
      const done = await importer.prune({ targetBytes: usedBytesBefore - 1 })
      assert.deepEqual(done, foreseen)
      assert.deepEqual(namesIn(done), ['x/top:1'])
      assert.ok(done.usedBytesAfter < usedBytesBefore)
    })

    it('goes on after an image that cannot be removed, and takes a younger one for it', async () => {
      await using place = await Place.make(stores)
      const remove: PruneParts['remove'] = (digest, options) =>
        digest === place.digestOf(top)
          ? Promise.reject(new DomainError('busy', 'The image is busy.', { resource: 'image' }))
          : place.importer.removeImage(digest, options)
      const { usedBytesBefore } = await place.importer.prune({})
      const report = await prune({ ...place.parts, remove }, { targetBytes: usedBytesBefore - 1 })
      assert.deepEqual(report.kept[0], { image: 'x/top:1', reason: 'The image is busy.' })
      assert.deepEqual(namesIn(report), ['x/side:1'])
      assert.deepEqual(await place.chainsLeft(), [bottom, middle, top])
    })

    it('leaves an image that has been used since the plan was made', async () => {
      await using place = await Place.make(stores)
      const remove: PruneParts['remove'] = async (digest, options) => {
        await new LastUse(place.chains.recordsDirectory).touch(place.digestOf(middle))
        return await place.importer.removeImage(digest, options)
      }
      const report = await prune({ ...place.parts, remove }, { unusedSeconds: 15 * daySeconds })
      assert.deepEqual(namesIn(report), ['x/top:1'])
      assert.deepEqual(await place.chainsLeft(), [bottom, middle, side])
    })

    it('leaves an image that is imported while it looks at what there is', async () => {
      await using place = await Place.make(stores)
      const late = layerOn(null, 'late')
      const record = imageRecord('x/late:1', [late], new Date(now))
      const lineages: ChainStore['lineages'] = async options => {
        const before = await place.chains.lineages(options)
        if ((await place.chains.find(late.chain)) === undefined) {
          await buildLayer(place.chains, null, late, 'late')
          await place.catalog.put(record)
        }
        return before
      }
      const chains: PruneParts['chains'] = {
        lineages,
        clones: options => place.chains.clones(options),
        reclaim: options => place.chains.reclaim(options),
        remove: (chain, options) => place.chains.remove(chain, options),
      }
      const report = await prune({ ...place.parts, chains }, { unusedSeconds: 35 * daySeconds })
      assert.deepEqual(namesIn(report), ['x/top:1'])
      assert.ok(await place.chains.find(late.chain))
      assert.equal((await place.catalog.list()).length, layers.length)
    })

    it('ends between two images when it is told to', async () => {
      await using place = await Place.make(stores)
      const stop = new AbortController()
      const remove: PruneParts['remove'] = async digest => {
        stop.abort()
        return await place.importer.removeImage(digest)
      }
      const running = prune({ ...place.parts, remove }, { unusedSeconds: 0 }, { signal: stop.signal })
      await assert.rejects(running, { name: 'AbortError' })
      assert.deepEqual(await place.chainsLeft(), [bottom, middle, side])
    })

    it('removes chains that no image has once they are old, but for those that one takes up meanwhile', async () => {
      await using place = await Place.make(stores)
      const old = { orphanSeconds: 0, now: () => new Date(now + dayMs) }
      for (const layer of [top, side]) await place.catalog.delete(place.digestOf(layer))
      assert.equal((await place.importer.prune({ unusedSeconds: 365 * daySeconds })).orphanedChains, 0)
      const request = { unusedSeconds: daySeconds / 2 }
      const foreseen = await prune({ ...place.parts, ...old }, { ...request, dryRun: true })
      assert.equal(foreseen.orphanedChains, 2)
      const exclusively: PruneParts['exclusively'] = async work => {
        await place.catalog.put(imageRecord('x/top:1', [bottom, middle, top], new Date(now + dayMs)))
        return await work()
      }
      const report = await prune({ ...place.parts, ...old, exclusively }, request)
      assert.equal(report.orphanedChains, 1)
      assert.deepEqual(await place.chainsLeft(), [bottom, middle, top])
    })

    it('does what a dry run foretells, whatever is in the store', async context => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      context.diagnostic(`seed ${seed}`)
      const random = integersOf(seed)
      for (let round = 0; round < rounds; round++) {
        const chains = await stores.fresh()
        await fillAtRandom(chains, random)
        await using importer = await importerOver(chains)
        const { usedBytesBefore } = await importer.prune({})
        for (const request of [
          { unusedSeconds: random(50) * daySeconds },
          { targetBytes: random(usedBytesBefore + 1) },
          { targetBytes: 0, unusedSeconds: random(20) * daySeconds },
          { targetBytes: 0 },
        ]) {
          const foreseen = await importer.prune({ ...request, dryRun: true })
          assert.deepEqual(await importer.prune(request), foreseen)
          assert.equal((await importer.prune({})).usedBytesBefore, foreseen.usedBytesAfter)
        }
      }
    })

    it('forgets when images were used that are gone', async () => {
      await using place = await Place.make(stores)
      const lastUse = new LastUse(place.chains.recordsDirectory)
      await lastUse.touch(place.digestOf(side))
      await place.catalog.delete(place.digestOf(side))
      await place.importer.prune({ unusedSeconds: 365 * daySeconds })
      assert.equal(await lastUse.forgetOthers([]), 0)
    })
  })
}

/** A store with four images: top is the one that was unused for longest, then middle, side and bottom. */
class Place implements AsyncDisposable {
  readonly chains: ChainStore
  readonly importer: Importer
  readonly catalog: DirectoryImageCatalog

  private constructor(chains: ChainStore, importer: Importer) {
    this.chains = chains
    this.importer = importer
    this.catalog = new DirectoryImageCatalog(chains.recordsDirectory)
  }

  static async make(stores: PrunableStores): Promise<Place> {
    const chains = await stores.fresh()
    for (const layer of layers) await buildLayer(chains, belowOf.get(layer) ?? null, layer, nameOf(layer))
    const place = new Place(chains, await importerOver(chains))
    const daysUnused = new Map([
      [top, 40],
      [middle, 30],
      [side, 10],
      [bottom, 5],
    ])
    for (const [layer, days] of daysUnused) {
      const importedAt = new Date(now - days * dayMs)
      await place.catalog.put(imageRecord(`x/${nameOf(layer)}:1`, pathOf(layer), importedAt))
    }
    return place
  }

  get parts(): PruneParts {
    return {
      catalog: this.catalog,
      chains: this.chains,
      lastUse: new LastUse(this.chains.recordsDirectory),
      remove: (digest, options) => this.importer.removeImage(digest, options),
      exclusively: work => work(),
    }
  }

  digestOf(layer: FakeLayer) {
    return imageRecord(`x/${nameOf(layer)}:1`, []).manifestDigest
  }

  async chainsLeft(): Promise<FakeLayer[]> {
    const { snapshots } = await walked(this.chains)
    return layers.filter(layer => snapshots.some(({ chain }) => chain === layer.chain))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.importer[Symbol.asyncDispose]()
  }
}

/** Whole numbers from 0 up to what is asked for. */
function integersOf(seed: number): (below: number) => number {
  const random = seededRandom(seed)
  return below => Math.floor(random() * below)
}

/** A forest of chains, images that end in some of them, and clones of others. */
async function fillAtRandom(chains: ChainStore, random: (below: number) => number): Promise<void> {
  const catalog = new DirectoryImageCatalog(chains.recordsDirectory)
  const paths: FakeLayer[][] = []
  for (let index = 0; index < 7; index++) {
    const below = paths[random(paths.length + 1)] ?? []
    const layer = layerOn(below.at(-1) ?? null, `layer ${index}`)
    await buildLayer(chains, below.at(-1) ?? null, layer, `file${index}`)
    const path = [...below, layer]
    paths.push(path)
    const importedAt = new Date(now - random(40) * dayMs)
    if (random(4) > 0) await catalog.put(imageRecord(`x/image${index}:1`, path, importedAt))
    if (random(5) === 0) await chains.clone(layer.chain, parseCloneName(`web${index}`))
  }
}

function pathOf(layer: FakeLayer): FakeLayer[] {
  const below = belowOf.get(layer)
  return below === undefined ? [layer] : [...pathOf(below), layer]
}

function nameOf(layer: FakeLayer): string {
  return layer === bottom ? 'bottom' : layer === middle ? 'middle' : layer === top ? 'top' : 'side'
}

function namesIn({ removed }: PruneReport): string[] {
  return removed.flatMap(({ names }) => names)
}
