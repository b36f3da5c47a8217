import type { ChainStore } from '../../src/importer/chain/chain-store.ts'
import { parseCloneName } from '../../src/importer/chain/clone-name.ts'
import type { RandomChain } from './random-chain.ts'

export { median } from '../registry/measure.ts'

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Milliseconds of each clone, which is destroyed before the next. */
export async function cloneTimes(store: ChainStore, chain: RandomChain, runs: number): Promise<number[]> {
  const [times = []] = await cloneTimesInTurns(store, [chain], runs)
  return times
}

/** As {@link cloneTimes} of each chain, so that whatever else the machine does slows down all of them. */
export async function cloneTimesInTurns(
  store: ChainStore,
  chains: readonly RandomChain[],
  runs: number,
): Promise<number[][]> {
  const name = parseCloneName('timed')
  const times = chains.map((): number[] => [])
  for (let run = 0; run < runs; run += 1)
    for (const [index, { chain }] of chains.entries()) {
      times[index]?.push(await timed(() => store.clone(chain, name)))
      await store.destroyClone(name)
    }
  return times
}
