import type { Abortable } from '../../storage/abortable.ts'
import type { ChainStore } from '../chain/chain-store.ts'
import { KeyedQueue } from '../chain/keyed-queue.ts'
import { claimed } from '../chain-turn.ts'

/**
 * What is recorded, and what the records say that chains are needed for, changes one by one: in this process, and in all
 * that share the chains. Or two that record one image by different names would each write only their own, and a removal would take
 * the layers of what another process records at this moment.
 */
export class RecordsTurn {
  readonly #chains: Pick<ChainStore, 'claimRecords'>
  readonly #queue = new KeyedQueue<'records'>()

  constructor(chains: Pick<ChainStore, 'claimRecords'>) {
    this.#chains = chains
  }

  /** Runs `work` when nobody else changes records, however long that takes. */
  async run<Result>(work: () => Promise<Result>, options: Abortable = {}): Promise<Result> {
    return await this.#queue.run('records', async () => {
      options.signal?.throwIfAborted()
      const claim = (): Disposable | undefined => this.#chains.claimRecords()
      using _ = claim() ?? (await claimed(claim, options))
      return await work()
    })
  }
}
