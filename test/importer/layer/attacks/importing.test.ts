/** S-22, S-34, S-39 and S-40 of layers.md 2.C: hostile and odd images through a whole import, on each kind of store. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { type ErrorCode, isDomainError } from '../../../../src/errors.ts'
import type { ChainStore } from '../../../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../../../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../../../../src/importer/chain/zfs/zfs-chain-store.ts'
import type { ImportResult } from '../../../../src/importer/import-service.ts'
import type { Importer } from '../../../../src/importer/importer.ts'
import { imageProcess } from '../../../../src/importer/process/image-process.ts'
import { digestOf } from '../../../../src/storage/digest.ts'
import { defaultPlatform } from '../../../../src/storage/platform.ts'
import type { ImageSource } from '../../../../src/storage/remote/image-source.ts'
import { RegistryImageSource } from '../../../../src/storage/remote/registry-image-source.ts'
import { importerOver } from '../../../support/importer-over.ts'
import { skipWithout } from '../../../support/programs.ts'
import { startRegistry, type TestRegistry } from '../../../support/registry.ts'
import { RegistryClient } from '../../../support/registry-client.ts'
import { dir, fifo, file, tar, whiteout } from '../../../support/tar.ts'
import { pushTestImage, type TestImage } from '../../../support/test-images.ts'
import { createPool, patientOnFuse, type TestPool, zfs } from '../../../support/zfs.ts'

const base = tar(dir('etc'), file('etc/name', 'base'), file('etc/old', 'old'))
const change = tar(file('etc/name', 'changed'), whiteout('etc/old'))
const other = tar(file('etc/name', 'other'))
const top = tar(file('top', 'top'))
const clone = parseCloneName('web1')
/** Times that two importers are set against each other. */
const races = 3

/** Stores of one kind, each new one empty. */
interface Stores {
  open(): Promise<OpenedStore>
  close(): Promise<void>
}

interface OpenedStore {
  readonly store: ChainStore
  /** A store over the same place for a second importer. */
  readonly again: () => Promise<ChainStore>
  /** Everything that an empty store would not have. */
  readonly leftovers: () => Promise<string[]>
  /** As an operator may, behind the store's back. */
  readonly destroyByHand: (location: string) => Promise<void>
}

function directoryStores(): Stores {
  const parent = mkdtempSync(join(tmpdir(), 'varve-importing-'))
  return {
    async open() {
      const directory = mkdtempSync(join(parent, 'store-'))
      const parts = ['building', 'chains', 'clones', 'images', 'locks', 'spool']
      return {
        store: await DirectoryChainStore.open({ directory }),
        again: () => DirectoryChainStore.open({ directory }),
        leftovers: async () =>
          parts.flatMap(part => readdirSync(join(directory, part)).map(name => `${part}/${name}`)),
        destroyByHand: async location => rmSync(location, { recursive: true }),
      }
    },
    close: async () => rmSync(parent, { recursive: true }),
  }
}

function poolStores(pool: TestPool): Stores {
  let count = 0
  return {
    async open() {
      const dataset = `${pool.name}/store${count++}`
      const store = await ZfsChainStore.open({ dataset, patience: patientOnFuse })
      const empty = await listAll(dataset)
      return {
        store,
        // zfs-fuse deadlocks when two stores mount at once, so both use one and neither closes it.
        again: async () => lent(store),
        leftovers: async () => {
          const records = join(store.recordsDirectory)
          const listed = (await listAll(dataset)).filter(name => !empty.includes(name))
          return [...listed, ...readdirSync(records), ...readdirSync(store.spoolDirectory)]
        },
        destroyByHand: async location => {
          // Held, so that this takes somebody who means it.
          await zfs('release', 'varve', location)
          await zfs('destroy', location)
        },
      }
    },
    close: () => pool.destroy(),
  }
}

async function listAll(dataset: string): Promise<string[]> {
  const listing = await zfs('list', '-H', '-r', '-t', 'filesystem,snapshot', '-o', 'name', dataset)
  return listing.trim().split('\n')
}

function lent(store: ChainStore): ChainStore {
  return new Proxy(store, {
    get: (target, key) => {
      if (key === Symbol.asyncDispose) return async () => {}
      const member: unknown = Reflect.get(target, key)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

/** A registry that hands out other bytes for layers than it should. */
function lying(change: (blob: Buffer) => Buffer): ImageSource {
  const source = new RegistryImageSource()
  return {
    resolve: (image, options) => source.resolve(image, options),
    openLayer: async (image, layer, options) =>
      Readable.from([change(await buffer(await source.openLayer(image, layer, options)))], {
        objectMode: false,
      }),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
}

const kinds: readonly (readonly [kind: string, skip: string | false, open: () => Promise<Stores>])[] = [
  ['directories', await skipWithout('cp', 'sync'), async () => directoryStores()],
  ['a pool', await skipWithout('zfs'), async () => poolStores(await createPool())],
]

for (const [kind, skip, openStores] of kinds)
  describe(`hostile images on ${kind}`, { skip, timeout: 600_000 }, () => {
    let stores: Stores
    let registry: TestRegistry
    let client: RegistryClient
    before(async () => {
      stores = await openStores()
      registry = await startRegistry()
      client = new RegistryClient(registry.url)
    })
    after(async () => {
      await registry.stop()
      await stores.close()
    })

    const push = async (tag: string, image: TestImage): Promise<string> => {
      await pushTestImage(client, 'team/app', tag, image)
      return `${new URL(registry.url).host}/team/app:${tag}`
    }
    const run = (importer: Importer, image: string): Promise<ImportResult> =>
      importer.import({ image, platform: defaultPlatform })
    /** What a clone of the image has as this file; the clone is gone afterwards. */
    const read = async (importer: Importer, image: string, path: string): Promise<string> => {
      const { rootfs } = await importer.clone(image, clone)
      try {
        return readFileSync(join(rootfs, path), 'utf8')
      } finally {
        await importer.destroyClone(clone)
      }
    }

    it('S-22: a FIFO in the place of etc/passwd, and a user to look up in it', async () => {
      const { store, leftovers } = await stores.open()
      await using importer = await importerOver(store)
      const layer = tar(fifo('etc/passwd'), fifo('etc/group'), file('etc/name', 'named'))
      const image = await push('user', { layers: [layer], config: { config: { User: 'app:app' } } })
      await run(importer, image)
      const { process, rootfs } = await importer.clone(image, clone)
      assert.equal(process.User, 'app:app')
      // Opening the FIFO to read it would wait for ever, in a call that nothing can end.
      assert.ok('problem' in imageProcess(rootfs, process))
      assert.equal(readFileSync(join(rootfs, 'etc/name'), 'utf8'), 'named')
      await importer.destroyClone(clone)
      await importer.removeImage(image)
      assert.deepEqual(await leftovers(), [])
    })

    const lies: readonly (readonly [
      what: string,
      code: ErrorCode,
      image: TestImage,
      source?: ImageSource,
    ])[] = [
      ['a diff ID that is another', 'digest_mismatch', { layers: [base], diffIds: [digestOf(change)] }],
      [
        "the layers' diff IDs in another order",
        'digest_mismatch',
        { layers: [base, change], diffIds: [digestOf(change), digestOf(base)] },
      ],
      ['fewer diff IDs than layers', 'invalid', { layers: [base, change], diffIds: [digestOf(base)] }],
      [
        'more diff IDs than layers',
        'invalid',
        { layers: [base], diffIds: [digestOf(base), digestOf(change)] },
      ],
      ['a blob that is too short', 'size_mismatch', { layers: [base] }, lying(blob => blob.subarray(0, -1))],
      [
        'a blob that is too long',
        'size_mismatch',
        { layers: [base] },
        lying(blob => Buffer.concat([blob, Buffer.alloc(1)])),
      ],
      [
        'a blob with another byte that means nothing',
        'digest_mismatch',
        { layers: [base] },
        // The operating system in the header of gzip.
        lying(blob => Buffer.concat([blob.subarray(0, 9), Buffer.of(0x55), blob.subarray(10)])),
      ],
    ]
    for (const [index, [what, code, image, source]] of lies.entries())
      it(`S-34: ${what}: nothing of it is there afterwards`, async () => {
        const { store, leftovers } = await stores.open()
        await using importer = await importerOver(store, source === undefined ? {} : { source })
        const name = await push(`lie${index}`, image)
        await assert.rejects(run(importer, name), error => isDomainError(error, code))
        assert.deepEqual(await leftovers(), [])
        assert.deepEqual(await importer.images(), [])
        await assert.rejects(importer.clone(name, clone), error => isDomainError(error, 'not_found'))
      })

    it('S-39: two importers make one chain at the same time', async () => {
      const { store, again, leftovers } = await stores.open()
      await using first = await importerOver(store)
      await using second = await importerOver(await again())
      const image = await push('both', { layers: [base, change, top] })
      const both = await Promise.all([run(first, image), run(second, image)])
      assert.equal(both[0].chainId, both[1].chainId)
      assert.equal((await first.images()).length, 1)
      assert.equal(await read(second, image, 'etc/name'), 'changed')
      await first.removeImage(image)
      assert.deepEqual(await leftovers(), [])
    })

    it('S-39: an importer, while another removes the image that has its base', async () => {
      const { store, again, leftovers } = await stores.open()
      await using first = await importerOver(store)
      await using second = await importerOver(await again())
      const one = await push('one', { layers: [base, change] })
      const two = await push('two', { layers: [base, other, top] })
      for (let round = 0; round < races; round++) {
        await run(first, one)
        const [imported, removed] = await Promise.allSettled([run(first, two), second.removeImage(one)])
        for (const result of [imported, removed])
          if (result.status === 'rejected') assert.ok(isDomainError(result.reason), String(result.reason))
        await run(first, two)
        assert.equal(await read(first, two, 'etc/name'), 'other')
        for (const { names } of await first.images()) await first.removeImage(names[0] ?? '')
        assert.deepEqual(await leftovers(), [])
      }
    })

    it('S-39: an importer, while another removes what it makes', async () => {
      const { store, again, leftovers } = await stores.open()
      await using first = await importerOver(store)
      await using second = await importerOver(await again())
      const image = await push('same', { layers: [base, change] })
      for (let round = 0; round < races; round++) {
        const results = await Promise.allSettled([run(first, image), second.removeImage(image)])
        for (const result of results)
          if (result.status === 'rejected') assert.ok(isDomainError(result.reason), String(result.reason))
        await run(first, image)
        assert.equal(await read(first, image, 'etc/name'), 'changed')
      }
      await first.removeImage(image)
      assert.deepEqual(await leftovers(), [])
    })

    it('S-40: one layer three times in an image', async () => {
      const { store, leftovers } = await stores.open()
      await using importer = await importerOver(store)
      const image = await push('thrice', { layers: [base, top, top, change, top] })
      const { layers, imported } = await run(importer, image)
      assert.deepEqual([layers, imported], [5, 5])
      assert.equal(await read(importer, image, 'top'), 'top')
      assert.equal((await importer.removeImage(image)).removedChains, 5)
      assert.deepEqual(await leftovers(), [])
    })

    it('S-40: 125 layers', async () => {
      const { store } = await stores.open()
      await using importer = await importerOver(store)
      const layers = Array.from({ length: 125 }, (_, index) =>
        tar(file(`f${index}`, String(index)), file('last', String(index)), whiteout(`f${index - 2}`)),
      )
      const image = await push('deep', { layers })
      assert.equal((await run(importer, image)).imported, 125)
      const { rootfs } = await importer.clone(image, clone)
      assert.deepEqual(readdirSync(rootfs).sort(), ['f123', 'f124', 'last'])
      assert.equal(readFileSync(join(rootfs, 'last'), 'utf8'), '124')
    })

    it('S-40: images that share layers', async () => {
      const { store, leftovers } = await stores.open()
      await using importer = await importerOver(store)
      const shared = [base, change, top]
      const one = await push('shares1', { layers: [...shared, other] })
      const two = await push('shares2', { layers: [...shared, tar(file('etc/name', 'another'))] })
      const three = await push('shares3', { layers: shared })
      const four = await push('shares4', { layers: [change, base] })
      const imported: number[] = []
      for (const image of [one, two, three, four]) imported.push((await run(importer, image)).imported)
      assert.deepEqual(imported, [4, 1, 0, 2])
      const names: string[] = []
      for (const image of [one, two, three, four]) names.push(await read(importer, image, 'etc/name'))
      assert.deepEqual(names, ['other', 'another', 'changed', 'base'])
      const removed: number[] = []
      for (const image of [three, one, four, two])
        removed.push((await importer.removeImage(image)).removedChains)
      assert.deepEqual(removed, [0, 1, 2, 4])
      assert.deepEqual(await leftovers(), [])
    })

    it('S-40: an image whose snapshot somebody has destroyed by hand (moby#30993)', async () => {
      const { store, leftovers, destroyByHand } = await stores.open()
      await using importer = await importerOver(store)
      const image = await push('destroyed', { layers: [base, change] })
      const { location } = await run(importer, image)
      await destroyByHand(location)
      await assert.rejects(importer.clone(image, clone), error => isDomainError(error, 'not_found'))
      assert.equal((await run(importer, image)).imported, 1)
      assert.equal(await read(importer, image, 'etc/name'), 'changed')
      await importer.removeImage(image)
      assert.deepEqual(await leftovers(), [])
    })
  })
