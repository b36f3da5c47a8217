import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { chainStoreContract } from '../../contract/chain-store.ts'
import { skipWithout } from '../../support/programs.ts'
import { createPool, patientOnFuse, storeLeftovers } from '../../support/zfs.ts'

chainStoreContract('ZfsChainStore', {
  skip: await skipWithout('zfs'),
  async open() {
    const pool = await createPool()
    const open = () => ZfsChainStore.open({ dataset: pool.name, patience: patientOnFuse })
    return {
      store: await open(),
      reopen: open,
      place: ['zfs', pool.name],
      leftovers: () => storeLeftovers(pool),
      destroy: pool.destroy,
    }
  },
})
