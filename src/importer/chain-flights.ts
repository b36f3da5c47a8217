import type { ChainId } from '../storage/chain-id.ts'

/** Which chains are being made in this process, so that nobody makes one a second time. */
export class ChainFlights {
  readonly #running = new Map<ChainId, PromiseWithResolvers<void>>()

  /** Settles, never rejects, when the chain is there or its import has given up; undefined when nobody makes it. */
  find(chain: ChainId): Promise<void> | undefined {
    return this.#running.get(chain)?.promise
  }

  begin(chains: readonly ChainId[]): ChainFlight {
    for (const chain of chains)
      if (!this.#running.has(chain)) this.#running.set(chain, Promise.withResolvers())
    return new ChainFlight(chains, chain => this.#end(chain))
  }

  #end(chain: ChainId): void {
    this.#running.get(chain)?.resolve()
    this.#running.delete(chain)
  }
}

/** The chains of one import. Disposing it lets everyone go on who waits for what it has not made. */
export class ChainFlight implements Disposable {
  readonly #left: Set<ChainId>
  readonly #end: (chain: ChainId) => void

  constructor(chains: readonly ChainId[], end: (chain: ChainId) => void) {
    this.#left = new Set(chains)
    this.#end = end
  }

  landed(chain: ChainId): void {
    if (this.#left.delete(chain)) this.#end(chain)
  }

  [Symbol.dispose](): void {
    for (const chain of this.#left) this.#end(chain)
    this.#left.clear()
  }
}
