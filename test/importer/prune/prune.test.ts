import { join } from 'node:path'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import { ZfsChainStore } from '../../../src/importer/chain/zfs/zfs-chain-store.ts'
import { skipWithout } from '../../support/programs.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { createPool, patientOnFuse } from '../../support/zfs.ts'
import { pruneSuite } from './prune-suite.ts'

let count = 0

pruneSuite('directories', {
  skip: await skipWithout('cp', 'sync'),
  rounds: 8,
  async open() {
    const directory = await temporaryDirectory()
    return {
      fresh: () => DirectoryChainStore.open({ directory: join(directory.path, `store${count++}`) }),
      destroy: () => directory.remove(),
    }
  },
})

pruneSuite('ZFS', {
  skip: await skipWithout('zfs'),
  rounds: 2,
  async open() {
    const pool = await createPool()
    return {
      fresh: () => ZfsChainStore.open({ dataset: `${pool.name}/store${count++}`, patience: patientOnFuse }),
      destroy: pool.destroy,
    }
  },
})
