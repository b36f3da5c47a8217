import { LRUCache } from 'lru-cache'
import type { Abortable } from '../storage/abortable.ts'
import type { DiffId, Digest } from '../storage/digest.ts'
import type { ChainStore } from './chain/chain-store.ts'

/** Two digests each; more layers than most hosts ever see. */
const maxRemembered = 10_000

/**
 * Which diff ID this host has computed from which blob, so that it need not do so again. Only from layers that were
 * verified and committed here: never from what a registry or an image says.
 */
export class KnownDiffIds {
  readonly #chains: Pick<ChainStore, 'diffIdsOf'>
  /** Outlives the snapshots. */
  readonly #remembered = new LRUCache<Digest, DiffId>({ max: maxRemembered })

  constructor(chains: Pick<ChainStore, 'diffIdsOf'>) {
    this.#chains = chains
  }

  /** Asks the store for those of `blobs` that are not known yet. */
  async load(blobs: readonly Digest[], options?: Abortable): Promise<void> {
    const unknown = blobs.filter(blob => !this.#remembered.has(blob))
    for (const [blob, diffId] of await this.#chains.diffIdsOf(unknown, options))
      this.#remembered.set(blob, diffId)
  }

  get(blob: Digest): DiffId | undefined {
    return this.#remembered.get(blob)
  }

  /** @param blob whose digest was verified while `diffId` was computed from it. */
  add(blob: Digest, diffId: DiffId): void {
    this.#remembered.set(blob, diffId)
  }
}
