/** Clones by the service: one, many, looked at again, and made while their image is removed. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainStore } from '../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../../src/importer/chain/zfs/zfs-chain-store.ts'
import { DirectoryImageCatalog } from '../../src/importer/images/directory-image-catalog.ts'
import { maxClonesOfOneCall } from '../../src/importer/import-service.ts'
import type { Importer } from '../../src/importer/importer.ts'
import { isDomainError } from '../../src/errors.ts'
import { defaultPlatform } from '../../src/storage/platform.ts'
import { importerOver } from '../support/importer-over.ts'
import { skipWithout } from '../support/programs.ts'
import { startRegistry } from '../support/registry.ts'
import { RegistryClient } from '../support/registry-client.ts'
import { rejectsWith } from '../support/rejects.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { dir, file, tar } from '../support/tar.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { pushTestImage } from '../support/test-images.ts'
import { createPool } from '../support/zfs.ts'

const layers = [tar(dir('etc'), file('etc/name', 'base')), tar(file('etc/name', 'top'))]
const mebibyte = 1024 ** 2
const isRoot = process.getuid?.() === 0

interface Place {
  readonly what: string
  readonly skip: string | false
  /** Of tries to clone what is being removed. */
  readonly rounds: number
  /** By which the one or the other comes first, in milliseconds. */
  readonly mostLeadMs: number
  readonly hasZfs: boolean
  readonly open: (opened: AsyncDisposableStack) => Promise<ChainStore>
}

const places: readonly Place[] = [
  {
    what: 'directories',
    skip: isRoot ? false : 'layers are applied as root',
    rounds: 30,
    mostLeadMs: 20,
    hasZfs: false,
    async open(opened) {
      const directory = await temporaryDirectory()
      opened.defer(() => directory.remove())
      return await DirectoryChainStore.open({ directory: join(directory.path, 'chains') })
    },
  },
  {
    what: 'a pool',
    skip: await skipWithout('zfs'),
    rounds: 14,
    mostLeadMs: 200,
    hasZfs: true,
    async open(opened) {
      const pool = await createPool()
      opened.defer(() => pool.destroy())
      return await ZfsChainStore.open({ dataset: pool.name })
    },
  },
]

for (const { what, skip, rounds, mostLeadMs, hasZfs, open } of places)
  describe(`Importer over ${what}: clones`, { skip, timeout: 300_000 }, () => {
    const opened = new AsyncDisposableStack()
    let importer: Importer
    let chains: ChainStore
    let image: string
    let another: string

    before(async () => {
      const registry = opened.use(await startRegistry())
      const client = new RegistryClient(registry.url)
      await pushTestImage(client, 'team/app', '1', {
        layers,
        config: { config: { User: '7', Cmd: ['/one'] } },
      })
      await pushTestImage(client, 'team/app', '2', { layers, config: { config: { Cmd: ['/two'] } } })
      const name = `${new URL(registry.url).host}/team/app`
      image = `${name}:1`
      another = `${name}:2`
      chains = await open(opened)
      importer = opened.use(await importerOver(chains))
    })
    after(() => opened.disposeAsync())

    const importImage = (name: string) => importer.import({ image: name, platform: defaultPlatform })

    it('are answered with all that a provisioner needs, and again when they are looked at later', async () => {
      const { manifestDigest, chainId } = await importImage(image)
      await importImage(another)
      const quota = 64 * mebibyte
      const options = hasZfs ? { quota } : {}
      const clone = await importer.clone(image, parseCloneName('web'), options)
      assert.deepEqual(
        [clone.image, clone.manifestDigest, clone.chain, clone.process.Cmd],
        [image, manifestDigest, chainId, ['/one']],
      )
      assert.ok('args' in clone.run)
      assert.deepEqual([clone.run.args, clone.run.user.uid, clone.run.cwd], [['/one'], 7, '/'])
      assert.equal(clone.triton?.payload.image_uuid, clone.triton?.manifest.uuid)
      assert.equal(clone.triton?.payload.quota, hasZfs ? 1 : undefined)
      assert.equal(clone.quota, hasZfs ? quota : undefined)
      assert.equal(readFileSync(join(clone.rootfs, 'etc/name'), 'utf8'), 'top')

      assert.deepEqual(await importer.inspectClone(clone.name), clone)
      assert.deepEqual(await importer.clone(image, clone.name, options), clone)
      const two = await importer.clone(another, parseCloneName('web2'))
      assert.deepEqual((await importer.inspectClone(two.name)).process.Cmd, ['/two'])
      assert.deepEqual((await importer.inspect(image)).clones, 2, 'of the same layers')
      const [summary] = await importer.images()
      assert.ok((summary?.lastUsedAt.getTime() ?? 0) >= (summary?.importedAt.getTime() ?? 1))

      await new DirectoryImageCatalog(chains.recordsDirectory).delete(manifestDigest)
      assert.deepEqual((await importer.inspectClone(clone.name)).process.Cmd, ['/two'], 'the next best')
      await importer.destroyClone(clone.name)
      await importer.destroyClone(two.name)
      await rejectsWith('not_found', importer.inspectClone(clone.name))
      await importer.removeImage(another)
    })

    it('keep the image that they were made of, whatever other image has its layers', async () => {
      await importImage(image)
      await importImage(another)
      const { name } = await importer.clone(image, parseCloneName('web'))
      const { message } = await rejectsWith('conflict', importer.removeImage(image))
      assert.match(message, /app:1 is in use by 1 clone \(web\)/)
      await importer.removeImage(another)
      assert.deepEqual((await importer.inspectClone(name)).process.Cmd, ['/one'])
      await importer.destroyClone(name)
      await importer.removeImage(image)
    })

    it('are made many at once, each with its own outcome, in the order of the names', async () => {
      await importImage(image)
      await importImage(another)
      const taken = parseCloneName('c3')
      await importer.clone(image, taken)
      const names = Array.from({ length: 8 }, (_, index) => parseCloneName(`c${7 - index}`))
      const outcomes = await importer.cloneMany(image, names)
      assert.deepEqual(
        outcomes.map(outcome => ['clone' in outcome, outcome.name]),
        names.map(name => [true, name]),
      )
      assert.deepEqual(
        (await importer.clones()).map(({ name }) => name),
        names.toReversed(),
      )
      for (const name of names) await importer.destroyClone(name)
    })

    it('are refused when too many are asked for, or one twice, or of what is not there', async () => {
      const [a, b] = [parseCloneName('a'), parseCloneName('b')]
      assert.match((await rejectsWith('invalid', importer.cloneMany(image, [a, b, a]))).message, /clone a /)
      const many = Array.from({ length: maxClonesOfOneCall + 1 }, (_, index) => parseCloneName(`c${index}`))
      await rejectsWith('invalid', importer.cloneMany(image, many))
      await rejectsWith('not_found', importer.cloneMany('nothing:1', [a]))
      assert.deepEqual(await importer.cloneMany(image, []), [])
      assert.deepEqual(await importer.clones(), [])
    })

    it('end with the signal, and leave no listener behind', async () => {
      await importImage(image)
      const controller = new AbortController()
      const names = Array.from({ length: 40 }, (_, index) => parseCloneName(`c${index}`))
      const cloning = importer.cloneMany(image, names, { signal: controller.signal })
      setImmediate(() => controller.abort())
      await assert.rejects(cloning, { name: 'AbortError' })
      assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
      for (const { name } of await importer.clones()) await importer.destroyClone(name)
    })

    for (const [how, remove] of [
      ['removed', async () => (await importer.removeImage(image)).names.length === 1],
      ['pruned', async () => (await importer.prune({ targetBytes: 0 })).removed.length === 1],
    ] as const)
      it(`are there with their image, or not at all, when it is ${how} at the same time`, async context => {
        const random = seededRandom(how.length)
        const tally = { cloned: 0, gone: 0 }
        const name = parseCloneName('racing')
        for (const { manifestDigest } of await importer.images()) await importer.removeImage(manifestDigest)
        for (let round = 0; round < rounds; round += 1) {
          await importImage(image)
          // One of them comes a little later, so that each step of one meets each step of the other.
          const lead = (2 * random() - 1) * mostLeadMs
          const [cloned, removed] = await Promise.allSettled([
            sleep(Math.max(0, lead)).then(() => importer.clone(image, name)),
            sleep(Math.max(0, -lead)).then(remove),
          ])
          const images = await importer.images()
          if (cloned.status === 'fulfilled') {
            tally.cloned += 1
            assert.equal(images.length, 1)
            assert.equal(readFileSync(join(cloned.value.rootfs, 'etc/name'), 'utf8'), 'top')
            if (how === 'removed')
              assert.ok(removed.status === 'rejected' && isDomainError(removed.reason, 'conflict'))
            await importer.destroyClone(name)
          } else {
            tally.gone += 1
            assert.ok(isDomainError(cloned.reason, 'not_found', 'conflict'), String(cloned.reason))
            assert.equal(images.length, removed.status === 'fulfilled' && removed.value ? 0 : 1)
            assert.deepEqual(await importer.clones(), [])
          }
        }
        context.diagnostic(`${tally.cloned} clones, ${tally.gone} times gone`)
        for (const { manifestDigest } of await importer.images()) await importer.removeImage(manifestDigest)
      })

    if (hasZfs)
      it('come from an image that stays while it is published', async () => {
        await importImage(image)
        await importImage(another)
        const published = await importer.publish(image)
        assert.deepEqual(await importer.publish(another), published, 'the same layers')
        assert.deepEqual(published.names, [image, another])
        assert.equal(published.snapshot, `${published.dataset}@final`)
        assert.equal((await importer.inspect(image)).triton?.manifest.uuid, published.uuid)
        assert.deepEqual(await importer.published(), [published])
        await importer.removeImage(another)
        const refused = await rejectsWith('conflict', importer.removeImage(image))
        assert.match(refused.message, new RegExp(published.dataset))
        const { kept, removed } = await importer.prune({ targetBytes: 0 })
        assert.deepEqual([removed.length, kept.map(one => one.image)], [0, [image]])
        const [lineage] = await importer.history()
        assert.deepEqual(lineage?.snapshots.at(-1)?.published, [published.dataset])
        await importer.unpublish(published.uuid)
        await rejectsWith('not_found', importer.unpublish(published.uuid))
        await rejectsWith('invalid', importer.unpublish('x'))
        await importer.removeImage(image)
      })
    if (!hasZfs)
      it('are all that there is where images of SmartOS cannot be', async () => {
        await importImage(image)
        await rejectsWith('unsupported', importer.publish(image))
        await rejectsWith('unsupported', importer.published())
        await rejectsWith('unsupported', importer.unpublish('x'))
      })
  })
