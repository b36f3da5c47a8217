import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../storage/abortable.ts'
import type { ChainId } from '../storage/chain-id.ts'
import type { ChainClaim, ChainStore } from './chain/chain-store.ts'
import type { ChainFlight, ChainFlights } from './chain-flights.ts'

/** Milliseconds between two looks at what another process makes: at first, and at most. */
const firstPollMs = 50
const longestPollMs = 1000

/**
 * The making of one chain after the other, base first, by one import: against all others of this process, who are
 * woken when a chain is there, and against other processes, who look now and then.
 */
export class ChainTurn implements Disposable {
  /** The first of the chains. */
  readonly first: ChainId
  readonly #chains: Pick<ChainStore, 'claim'>
  readonly #flight: ChainFlight
  #claim: ChainClaim | undefined

  /** @param missing not empty, and none of them in flight. */
  constructor(chains: Pick<ChainStore, 'claim'>, flights: ChainFlights, missing: readonly ChainId[]) {
    const [first] = missing
    if (first === undefined) throw new Error('a turn needs a chain to make')
    this.first = first
    this.#chains = chains
    this.#flight = flights.begin(missing)
    this.#claim = chains.claim(first)
  }

  /** Whether no other process is making the chain whose turn it is. */
  get isOurs(): boolean {
    return this.#claim !== undefined
  }

  /**
   * A chain is there. Answers whether `next` is ours to make as well. It is claimed before the one that was made is let go,
   * so that nobody comes in between, and without waiting for it, so that two never wait for each other.
   */
  made(chain: ChainId, next: ChainId | undefined): boolean {
    const following = next === undefined ? undefined : this.#chains.claim(next)
    this.#flight.landed(chain)
    this.#claim?.[Symbol.dispose]()
    this.#claim = following
    return following !== undefined
  }

  [Symbol.dispose](): void {
    this.#claim?.[Symbol.dispose]()
    this.#claim = undefined
    this.#flight[Symbol.dispose]()
  }
}

/** Resolves when nobody is making the chain at that moment. */
export async function untilUnclaimed(
  chains: Pick<ChainStore, 'claim'>,
  chain: ChainId,
  options: Abortable = {},
): Promise<void> {
  using _ = await claimed(() => chains.claim(chain), options)
}

/** Tries now and then, less and less often, until nobody else has it. */
export async function claimed<Claim>(
  claim: () => Claim | undefined,
  { signal }: Abortable = {},
): Promise<Claim> {
  for (let wait = firstPollMs; ; wait = Math.min(2 * wait, longestPollMs)) {
    await sleep(wait, undefined, { signal }).catch((cause: unknown) => {
      signal?.throwIfAborted()
      throw cause
    })
    const ours = claim()
    if (ours !== undefined) return ours
  }
}
