import assert from 'node:assert/strict'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { digestOf } from '../../../src/storage/digest.ts'
import { layerOn } from '../../support/fake-layers.ts'
import { ageRoot, makeSampleTree, readSampleTree } from './sample-tree.ts'
import { buildLayer, type ChainStoreSuite, failsWith, filesAt, filesIn, onFreshStore } from './suite.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const absent = layerOn(null, 'absent')
const web = parseCloneName('web')

export function cloningContract(suite: ChainStoreSuite): void {
  describe('cloning', () => {
    it(
      'makes a private, writable tree that nothing else sees',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const first = await store.clone(bottom.chain, web)
        const second = await store.clone(bottom.chain, parseCloneName('db'))
        assert.equal((await stat(first.mountpoint)).mode & 0o7777, 0o700)
        assert.equal(dirname(first.rootfs), first.mountpoint)
        await writeFile(join(first.rootfs, 'bottom'), 'changed in place')
        await writeFile(join(first.rootfs, 'mine'), '')
        await rm(join(second.rootfs, 'bottom'))
        assert.equal(await readFile(join(first.rootfs, 'bottom'), 'utf8'), 'changed in place')
        assert.deepEqual(await filesIn(second.rootfs), [])
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        const third = await store.clone(bottom.chain, parseCloneName('third'))
        assert.equal(await readFile(join(third.rootfs, 'bottom'), 'utf8'), 'bottom')
      }),
    )

    it(
      'is idempotent by name, across restarts too',
      onFreshStore(suite, async ({ store, reopen }) => {
        const snapshot = await buildLayer(store, null, bottom, 'bottom')
        const clone = await store.clone(bottom.chain, web)
        assert.equal(clone.name, web)
        assert.equal(clone.chain, bottom.chain)
        assert.equal(clone.origin, snapshot.location)
        await writeFile(join(clone.rootfs, 'mine'), '')
        assert.deepEqual(await store.clone(bottom.chain, web), clone)
        const again = await reopen()
        assert.deepEqual(await again.clone(bottom.chain, web), clone)
        assert.deepEqual(await again.clones(), [clone])
        assert.deepEqual(await filesIn(clone.rootfs), ['bottom', 'mine'])
      }),
    )

    it(
      'answers one clone to all who ask for one name at once',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const clones = await Promise.all([1, 2, 3].map(() => store.clone(bottom.chain, web)))
        for (const clone of clones) assert.deepEqual(clone, clones[0])
        assert.equal((await store.clones()).length, 1)
      }),
    )

    it(
      'refuses a name that a clone of another chain has',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        const clone = await store.clone(bottom.chain, web)
        await assert.rejects(store.clone(middle.chain, web), failsWith('conflict'))
        assert.deepEqual(await store.clones(), [clone])
        await store.destroyClone(web)
        assert.equal((await store.clone(middle.chain, web)).chain, middle.chain)
      }),
    )

    it(
      'preserves all that an image is made of',
      onFreshStore(suite, async ({ store }) => {
        {
          await using builder = await store.extend(null)
          await makeSampleTree(builder.rootfs)
          await builder.commit(bottom.chain, bottom.facts)
        }
        const wanted = await readSampleTree((await store.clone(bottom.chain, web)).rootfs)
        assert.deepEqual(
          wanted.map(({ path }) => path),
          ['', 'absolute', 'bin', 'bin/su', 'bin/sudo', 'bin/upwards', 'data', 'empty', '\u00ff\u00fe'],
        )
        {
          await using builder = await store.extend(bottom.chain)
          assert.deepEqual(await readSampleTree(builder.rootfs), wanted)
          await writeFile(join(builder.rootfs, 'middle'), '')
          await builder.commit(middle.chain, middle.facts)
        }
        const later = await store.clone(middle.chain, parseCloneName('later'))
        await rm(join(later.rootfs, 'middle'))
        await ageRoot(later.rootfs)
        assert.deepEqual(await readSampleTree(later.rootfs), wanted)
      }),
    )

    it(
      'lists clones in byte order of their names',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const names = ['a', 'B', '9', 'a.1', 'a-1', '10', 'a_1', 'A']
        for (const name of names) await store.clone(bottom.chain, parseCloneName(name))
        const listed = (await store.clones()).map(({ name }) => name)
        assert.deepEqual(listed, ['10', '9', 'A', 'B', 'a', 'a-1', 'a.1', 'a_1'])
      }),
    )

    it(
      'finds a clone by its name, with the image that it was made of when somebody said it',
      onFreshStore(suite, async ({ store, reopen }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const manifestDigest = digestOf(Buffer.from('manifest'))
        const clone = await store.clone(bottom.chain, web, { manifestDigest })
        const plain = await store.clone(bottom.chain, parseCloneName('plain'))
        assert.deepEqual([clone.manifestDigest, plain.manifestDigest], [manifestDigest, undefined])
        // Whoever asks again, for another image of the same layers, gets what is there.
        assert.deepEqual(await store.clone(bottom.chain, web), clone)
        for (const one of [store, await reopen()]) {
          assert.deepEqual(await one.findClone(web), clone)
          assert.deepEqual(await one.findClone(plain.name), plain)
          assert.deepEqual(await one.clones(), [plain, clone])
          assert.equal(await one.findClone(parseCloneName('absent')), undefined)
        }
      }),
    )

    it(
      'knows no clone and no chain that is not there',
      onFreshStore(suite, async ({ store }) => {
        await assert.rejects(store.clone(absent.chain, web), failsWith('not_found'))
        await assert.rejects(store.extend(absent.chain), failsWith('not_found'))
        await assert.rejects(store.remove(absent.chain), failsWith('not_found'))
        await assert.rejects(store.destroyClone(web), failsWith('not_found'))
        assert.deepEqual(await store.clones(), [])
        assert.equal(await store.findClone(web), undefined)
      }),
    )
  })
}
