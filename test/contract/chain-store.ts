import { describe } from 'node:test'
import { buildingContract } from './chain-store/building.ts'
import { claimContract } from './chain-store/claims.ts'
import { cloningContract } from './chain-store/cloning.ts'
import { crashContract } from './chain-store/crashes.ts'
import { lineagesContract } from './chain-store/lineages.ts'
import { removalContract } from './chain-store/removal.ts'
import { sharingContract } from './chain-store/sharing.ts'
import type { ChainStoreSuite } from './chain-store/suite.ts'

/** The executable half of the definition in src/importer/chain/chain-store.ts. */
export function chainStoreContract(name: string, suite: ChainStoreSuite): void {
  describe(`${name}: contract of ChainStore`, { skip: suite.skip }, () => {
    buildingContract(suite)
    cloningContract(suite)
    removalContract(suite)
    lineagesContract(suite)
    sharingContract(suite)
    claimContract(suite)
    crashContract(suite)
  })
}
