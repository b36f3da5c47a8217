import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ErrorCode, isDomainError } from '../../../src/errors.ts'
import type { ChainSnapshot, ChainStore, Unfinished } from '../../../src/importer/chain/chain-store.ts'
import type { Abortable } from '../../../src/storage/abortable.ts'
import type { ChainId } from '../../../src/storage/chain-id.ts'
import type { FakeLayer } from '../../support/fake-layers.ts'

export interface ChainStoreSuite {
  /** Why the suite cannot run here, or `false`. */
  readonly skip: string | false
  /** A fresh, empty store. */
  readonly open: () => Promise<ChainStoreUnderTest>
}

export interface ChainStoreUnderTest {
  readonly store: ChainStore
  /** Another store over the same place, as after a restart. */
  readonly reopen: () => Promise<ChainStore>
  /** The first two arguments of fixtures/programs/build-and-wait.ts. */
  readonly place: readonly [kind: 'zfs' | 'directory', where: string]
  /** All that is there and would not be in an empty store. */
  readonly leftovers: () => Promise<string[]>
  readonly destroy: () => Promise<void>
}

/** Runs a test on a fresh store, empties the store afterwards, and checks that nothing is left of it. */
export function onFreshStore(
  suite: ChainStoreSuite,
  test: (fresh: ChainStoreUnderTest) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const fresh = await suite.open()
    try {
      assert.deepEqual(await fresh.leftovers(), [])
      await test(fresh)
      await emptyStore(await fresh.reopen())
      assert.deepEqual(await fresh.leftovers(), [])
    } finally {
      await fresh.destroy()
    }
  }
}

/** By the contract's own means: clones, then chains from the longest down. */
async function emptyStore(store: ChainStore): Promise<void> {
  for (const { name } of await store.clones()) await store.destroyClone(name)
  await store.reclaim()
  for (;;) {
    const { snapshots } = await walked(store)
    const parents = new Set(snapshots.map(({ facts }) => facts.parent))
    const leaves = snapshots.filter(({ chain }) => !parents.has(chain))
    if (leaves.length === 0) return
    for (const { chain } of leaves) await store.remove(chain)
  }
}

export async function walked(
  store: ChainStore,
  options: Abortable = {},
): Promise<{ readonly snapshots: ChainSnapshot[]; readonly unfinished: Unfinished[] }> {
  const snapshots: ChainSnapshot[] = []
  const unfinished: Unfinished[] = []
  for await (const one of store.walk(options)) {
    if (one.kind === 'snapshot') snapshots.push(one)
    else unfinished.push(one)
  }
  return { snapshots, unfinished }
}

/** Builds one layer that adds one file of its own name. */
export async function buildLayer(
  store: ChainStore,
  below: FakeLayer | null,
  layer: FakeLayer,
  file: string,
): Promise<ChainSnapshot> {
  await using builder = await store.extend(below?.chain ?? null)
  await writeFile(join(builder.rootfs, file), file)
  return await builder.commit(layer.chain, layer.facts)
}

/** The names in a tree's top directory. */
export async function filesIn(rootfs: string): Promise<string[]> {
  return (await readdir(rootfs)).toSorted()
}

/** What an image on top of `base` would find there. */
export async function filesAt(store: ChainStore, base: ChainId): Promise<string[]> {
  await using builder = await store.extend(base)
  return await filesIn(builder.rootfs)
}

export function failsWith(code: ErrorCode): (error: unknown) => true {
  return error => {
    assert.ok(isDomainError(error, code), `expected ${code}, got ${String(error)}`)
    return true
  }
}
