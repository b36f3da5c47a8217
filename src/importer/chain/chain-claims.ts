import { join } from 'node:path'
import type { ChainId } from '../../storage/chain-id.ts'
import { hexOf } from '../../storage/digest.ts'
import { ProcessLock } from '../../storage/process-lock.ts'
import type { ChainClaim } from './chain-store.ts'

/**
 * Lock files are never removed, for that would let two processes lock two files of one name. So there is a fixed number of
 * them, and now and then two unrelated chains wait for each other.
 */
const slotDigits = 3

/** Who makes which chain, of all processes that share a directory of lock files. */
export class ChainClaims {
  readonly #directory: string

  /** @param directory exists, and holds nothing else. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** As `ChainStore.claim`. */
  claim(chain: ChainId): ChainClaim | undefined {
    const lock = ProcessLock.tryAcquire(join(this.#directory, hexOf(chain).slice(0, slotDigits)))
    return lock && { chain, [Symbol.dispose]: () => lock.release() }
  }

  /** As `ChainStore.claimRecords`. */
  claimRecords(): Disposable | undefined {
    return ProcessLock.tryAcquire(join(this.#directory, 'records'))
  }
}
