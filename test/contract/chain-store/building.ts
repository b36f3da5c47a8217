import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { layerOn } from '../../support/fake-layers.ts'
import {
  buildLayer,
  type ChainStoreSuite,
  failsWith,
  filesAt,
  filesIn,
  onFreshStore,
  walked,
} from './suite.ts'

const bottom = layerOn(null, 'bottom')
const middle = layerOn(bottom, 'middle')
const top = layerOn(middle, 'top')
const other = layerOn(bottom, 'other')

export function buildingContract(suite: ChainStoreSuite): void {
  describe('building chains', () => {
    it(
      'begins empty, and finds what was committed, with its facts',
      onFreshStore(suite, async ({ store }) => {
        assert.equal(await store.find(bottom.chain), undefined)
        await using builder = await store.extend(null)
        assert.deepEqual(await filesIn(builder.rootfs), [])
        const { mode, uid, gid, mtimeMs } = await stat(builder.rootfs)
        assert.deepEqual([mode & 0o7777, uid, gid, mtimeMs], [0o755, 0, 0, 0])
        await writeFile(join(builder.rootfs, 'bottom'), '')
        assert.equal(await store.find(bottom.chain), undefined)
        const snapshot = await builder.commit(bottom.chain, bottom.facts)
        assert.equal(snapshot.chain, bottom.chain)
        assert.deepEqual(snapshot.facts, bottom.facts)
        assert.deepEqual(await store.find(bottom.chain), snapshot)
      }),
    )

    it(
      'makes the last layer a snapshot like any other, also when another builder was faster',
      onFreshStore(suite, async ({ store, reopen }) => {
        const builders = [await store.extend(null), await store.extend(null)]
        const made = []
        for (const builder of builders) {
          await writeFile(join(builder.rootfs, 'bottom'), '')
          await builder.commit(bottom.chain, bottom.facts)
          await writeFile(join(builder.rootfs, 'middle'), '')
          made.push(await builder.commit(middle.chain, middle.facts, { isLast: true }))
        }
        for (const builder of builders) await builder[Symbol.asyncDispose]()
        assert.deepEqual(made[0], made[1])
        const again = await reopen()
        assert.deepEqual(await again.find(middle.chain), made[0])
        assert.deepEqual((await walked(again)).unfinished, [])
        assert.deepEqual(await filesAt(again, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(again, middle.chain), ['bottom', 'middle'])
      }),
    )

    it(
      'says of a builder what its tree began with, also after a restart',
      onFreshStore(suite, async ({ store, reopen }) => {
        const known = { ...bottom.facts, notes: { ...bottom.facts.notes, directoryXattrs: 'none' } } as const
        {
          await using builder = await store.extend(null)
          assert.equal(builder.base, undefined)
          await builder.commit(bottom.chain, known)
          await builder.commit(middle.chain, middle.facts)
        }
        const again = await reopen()
        // In the lineage that ends there, and in one that branches off.
        for (const { chain, facts } of [middle, { ...bottom, facts: known }]) {
          await using builder = await again.extend(chain)
          assert.deepEqual(builder.base, facts)
        }
      }),
    )

    it(
      'remembers everything across a restart',
      onFreshStore(suite, async ({ store, reopen }) => {
        const snapshots = [
          await buildLayer(store, null, bottom, 'bottom'),
          await buildLayer(store, bottom, middle, 'middle'),
          await buildLayer(store, bottom, other, 'other'),
        ]
        const again = await reopen()
        for (const snapshot of snapshots) assert.deepEqual(await again.find(snapshot.chain), snapshot)
        const found = await walked(again)
        const byChain = (left: { chain: string }, right: { chain: string }) =>
          left.chain.localeCompare(right.chain)
        assert.deepEqual(found.snapshots.toSorted(byChain), snapshots.toSorted(byChain))
        assert.deepEqual(found.unfinished, [])
        assert.deepEqual(await filesAt(again, middle.chain), ['bottom', 'middle'])
      }),
    )

    it(
      'knows the diff IDs of the blobs that layers were applied from, as long as they are there',
      onFreshStore(suite, async ({ store, reopen }) => {
        const blobs = [bottom, middle, other].map(({ facts }) => facts.blob)
        assert.deepEqual(await store.diffIdsOf(blobs), new Map())
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        const known = new Map([bottom, middle].map(({ facts }) => [facts.blob, facts.diffId]))
        for (const each of [store, await reopen()]) {
          assert.deepEqual(await each.diffIdsOf(blobs), known)
          assert.deepEqual(await each.diffIdsOf([]), new Map())
        }
        await store.remove(middle.chain)
        assert.deepEqual([...(await store.diffIdsOf(blobs)).values()], [bottom.facts.diffId])
      }),
    )

    it(
      'keeps what a report says, shortened where there is no room, and does without one',
      onFreshStore(suite, async ({ store, reopen }) => {
        const examples = ['a', 'b', 'c'].map(letter => letter.repeat(400))
        const codes = ['device-skipped', 'xattr-refused', 'time-clamped'] as const
        const warnings = codes.map(code => ({ code, count: 1000, examples }))
        const notes = { ...bottom.facts.notes, skippedFifos: 7, warnings }
        const { notes: _, ...before } = middle.facts
        {
          await using builder = await store.extend(null)
          await builder.commit(bottom.chain, { ...bottom.facts, notes })
          await builder.commit(middle.chain, before)
        }
        const again = await reopen()
        const kept = (await again.find(bottom.chain))?.facts.notes
        assert.deepEqual({ ...kept, warnings: [] }, { ...notes, warnings: [] })
        assert.deepEqual(
          kept?.warnings.map(({ code, count }) => [code, count]),
          codes.map(code => [code, 1000]),
        )
        assert.deepEqual((await again.find(middle.chain))?.facts, before)
      }),
    )

    it(
      'commits one layer after the other, each with what was there at that moment',
      onFreshStore(suite, async ({ store }) => {
        {
          await using builder = await store.extend(null)
          for (const [layer, file] of [
            [bottom, 'bottom'],
            [middle, 'middle'],
            [top, 'top'],
          ] as const) {
            await writeFile(join(builder.rootfs, file), file)
            await builder.commit(layer.chain, layer.facts)
          }
        }
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
        assert.deepEqual(await filesAt(store, top.chain), ['bottom', 'middle', 'top'])
      }),
    )

    it(
      'branches at a shared base',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await buildLayer(store, bottom, middle, 'middle')
        await buildLayer(store, bottom, other, 'other')
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
        assert.deepEqual(await filesAt(store, other.chain), ['bottom', 'other'])
      }),
    )

    it(
      'keeps two builders at one base apart',
      onFreshStore(suite, async ({ store }) => {
        await buildLayer(store, null, bottom, 'bottom')
        await using left = await store.extend(bottom.chain)
        await using right = await store.extend(bottom.chain)
        assert.notEqual(left.rootfs, right.rootfs)
        await writeFile(join(left.rootfs, 'middle'), '')
        await writeFile(join(right.rootfs, 'other'), '')
        await left.commit(middle.chain, middle.facts)
        await right.commit(other.chain, other.facts)
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
        assert.deepEqual(await filesAt(store, other.chain), ['bottom', 'other'])
      }),
    )

    it(
      'answers a chain that somebody else has committed, and goes on from there',
      onFreshStore(suite, async ({ store }) => {
        {
          await using first = await store.extend(null)
          await using second = await store.extend(null)
          await writeFile(join(first.rootfs, 'bottom'), '')
          await writeFile(join(second.rootfs, 'bottom'), '')
          const [one, same] = await Promise.all([
            first.commit(bottom.chain, bottom.facts),
            second.commit(bottom.chain, bottom.facts),
          ])
          assert.deepEqual(one, same)
          await writeFile(join(first.rootfs, 'middle'), '')
          await first.commit(middle.chain, middle.facts)
          await writeFile(join(second.rootfs, 'other'), '')
          await second.commit(other.chain, other.facts)
        }
        assert.equal((await walked(store)).snapshots.length, 3)
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        assert.deepEqual(await filesAt(store, middle.chain), ['bottom', 'middle'])
        assert.deepEqual(await filesAt(store, other.chain), ['bottom', 'other'])
      }),
    )

    it(
      'leaves no trace of a builder that committed nothing',
      onFreshStore(suite, async ({ store, leftovers }) => {
        {
          await using builder = await store.extend(null)
          await writeFile(join(builder.rootfs, 'lost'), '')
        }
        assert.deepEqual(await leftovers(), [])
        await buildLayer(store, null, bottom, 'bottom')
        const before = await leftovers()
        {
          await using builder = await store.extend(bottom.chain)
          await writeFile(join(builder.rootfs, 'lost'), '')
        }
        assert.deepEqual(await leftovers(), before)
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
      }),
    )

    it(
      'discards what was written after the last commit',
      onFreshStore(suite, async ({ store }) => {
        {
          await using builder = await store.extend(null)
          await writeFile(join(builder.rootfs, 'bottom'), '')
          await builder.commit(bottom.chain, bottom.facts)
          await writeFile(join(builder.rootfs, 'lost'), '')
        }
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
        assert.deepEqual((await walked(store)).unfinished, [])
      }),
    )

    it(
      'refuses facts that name another parent than the tree has',
      onFreshStore(suite, async ({ store }) => {
        await using builder = await store.extend(null)
        await assert.rejects(builder.commit(middle.chain, middle.facts), failsWith('invalid'))
        await builder.commit(bottom.chain, bottom.facts)
        await assert.rejects(builder.commit(top.chain, top.facts), failsWith('invalid'))
      }),
    )

    it(
      'can be disposed twice',
      onFreshStore(suite, async ({ store }) => {
        const builder = await store.extend(null)
        await builder[Symbol.asyncDispose]()
        await builder[Symbol.asyncDispose]()
      }),
    )

    it(
      'keeps trees and records private to root',
      onFreshStore(suite, async ({ store, reopen }) => {
        await using builder = await store.extend(null)
        assert.equal((await stat(dirname(builder.rootfs))).mode & 0o7777, 0o700)
        for (const directory of [store.recordsDirectory, store.spoolDirectory])
          assert.equal((await stat(directory)).mode & 0o7777, 0o700)
        assert.deepEqual(await filesIn(store.spoolDirectory), [])
        const record = join(store.recordsDirectory, 'record')
        await writeFile(record, '')
        assert.deepEqual(await filesIn((await reopen()).recordsDirectory), ['record'])
        assert.notEqual(store.description, '')
      }),
    )

    it(
      'does nothing when the signal has aborted already',
      onFreshStore(suite, async ({ store, leftovers }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const before = await leftovers()
        const options = { signal: AbortSignal.abort(new Error('enough')) }
        const name = parseCloneName('web')
        await using builder = await store.extend(bottom.chain)
        for (const call of [
          () => store.find(bottom.chain, options),
          () => store.diffIdsOf([bottom.facts.blob], options),
          () => store.extend(null, options),
          () => store.extend(bottom.chain, options),
          () => builder.commit(middle.chain, middle.facts, options),
          () => walked(store, options),
          () => store.reclaim(options),
          () => store.remove(bottom.chain, options),
          () => store.clone(bottom.chain, name, options),
          () => store.clones(options),
          () => store.destroyClone(name, options),
        ])
          await assert.rejects(call, /enough/)
        await builder[Symbol.asyncDispose]()
        assert.deepEqual(await leftovers(), before)
      }),
    )

    it(
      'leaves no trace when it is aborted on its way',
      onFreshStore(suite, async ({ store, leftovers }) => {
        await buildLayer(store, null, bottom, 'bottom')
        const before = await leftovers()
        for (const base of [null, bottom.chain])
          for (const milliseconds of [1, 5, 15, 30, 60]) {
            const aborter = new AbortController()
            const timer = setTimeout(() => aborter.abort(new Error('enough')), milliseconds)
            try {
              await using _builder = await store.extend(base, aborter)
            } catch (error) {
              assert.match(String(error), /enough/)
            }
            clearTimeout(timer)
            assert.deepEqual(await leftovers(), before)
          }
        assert.deepEqual(await filesAt(store, bottom.chain), ['bottom'])
      }),
    )

    it(
      'leaves no listener on the signal',
      onFreshStore(suite, async ({ store }) => {
        const { signal } = new AbortController()
        const name = parseCloneName('web')
        {
          await using builder = await store.extend(null, { signal })
          await builder.commit(bottom.chain, bottom.facts, { signal })
        }
        await store.clone(bottom.chain, name, { signal })
        await store.clones({ signal })
        await walked(store, { signal })
        await store.destroyClone(name, { signal })
        await store.reclaim({ signal })
        await store.remove(bottom.chain, { signal })
        assert.deepEqual(getEventListeners(signal, 'abort'), [])
      }),
    )
  })
}
