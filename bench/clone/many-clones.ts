import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { formatBytes, formatTable } from '../../src/cli/format.ts'
import type { ChainStore, CloneName } from '../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import { cloneEach } from '../../src/importer/clones/clone-each.ts'
import { allocatedBytes } from '../../test/support/pool-space.ts'
import { exec } from '../../test/support/process.ts'
import type { RandomChain } from './random-chain.ts'
import { timed } from './times.ts'

const count = 400
/** A pool writes a few seconds later. */
const settleMs = 15_000

/** By one call, as the importer runs it, and one after the other. */
export async function measureMany(store: ChainStore, { chain }: RandomChain, pool: string): Promise<string> {
  const names = Array.from({ length: count }, (_, index) => parseCloneName(`many-${index}`))
  const clone = (name: CloneName) => store.clone(chain, name)
  const ways: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['by one call', () => cloneEach(names, clone)],
    ['one after the other', () => oneByOne(names, clone)],
  ]
  const rows: string[][] = []
  for (const [way, make] of ways) {
    await sleep(settleMs)
    const before = await allocatedBytes(pool)
    const milliseconds = await timed(make)
    await sleep(settleMs)
    const used = await usedBy(store, names)
    const grown = (await allocatedBytes(pool)) - before
    const destroying = await timed(() => destroyAll(store, names))
    rows.push([
      way,
      (milliseconds / 1000).toFixed(2),
      (milliseconds / count).toFixed(1),
      formatBytes(used / count),
      formatBytes(grown / count),
      (destroying / 1000).toFixed(2),
    ])
  }
  return formatTable(['', 's', 'ms EACH', 'USED EACH', 'POOL GREW BY EACH', 'DESTROYED s'], rows)
}

async function usedBy(store: ChainStore, names: readonly CloneName[]): Promise<number> {
  const datasets = (await store.clones())
    .filter(({ name }) => names.includes(name))
    .map(({ dataset }) => dataset)
  const values = await exec('zfs', ['get', '-Hp', '-o', 'value', 'used', ...datasets])
  return values
    .trimEnd()
    .split('\n')
    .reduce((sum, value) => sum + Number(value), 0)
}

async function destroyAll(store: ChainStore, names: readonly CloneName[]): Promise<void> {
  const limit = pLimit(16)
  await Promise.all(names.map(name => limit(() => store.destroyClone(name))))
}

async function oneByOne(
  names: readonly CloneName[],
  clone: (name: CloneName) => Promise<unknown>,
): Promise<void> {
  for (const name of names) await clone(name)
}
