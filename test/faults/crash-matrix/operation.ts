import type { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import type { Work } from '../../fixtures/programs/change-pool.ts'

/** A store that a process has just opened, and what works over it. */
export interface Opened {
  readonly store: ZfsChainStore
  readonly importer: Importer
}

/** One thing that is done to a store and killed in it. */
export interface Operation {
  readonly title: string
  readonly work: Work
  /** Brings the store from how the suite has set it up to where the work begins. */
  prepare?(opened: Opened): Promise<void>
  /** How far the work has come, in a few words. */
  progress(opened: Opened): Promise<string>
  /** Asserts that the work has been done, and done right. */
  check(opened: Opened): Promise<void>
  /** After the work: leaves the store as the suite has set it up. */
  reset?(opened: Opened): Promise<void>
  /** Chains (hex of their IDs) and paths of datasets that the work takes away: the second time there may be no such thing. */
  readonly takes?: readonly string[] | undefined
}
