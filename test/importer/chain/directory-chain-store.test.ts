import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import { chainStoreContract } from '../../contract/chain-store.ts'
import { skipWithout } from '../../support/programs.ts'

chainStoreContract('DirectoryChainStore', {
  skip: await skipWithout('cp', 'sync'),
  async open() {
    const directory = await mkdtemp(join(tmpdir(), 'varve-test-chains-'))
    const open = () => DirectoryChainStore.open({ directory })
    return {
      store: await open(),
      reopen: open,
      place: ['directory', directory],
      leftovers: () => namesIn(directory, 'building', 'chains', 'clones', 'locks'),
      destroy: () => rm(directory, { recursive: true, force: true }),
    }
  },
})

async function namesIn(directory: string, ...below: readonly string[]): Promise<string[]> {
  const names = await Promise.all(below.map(name => readdir(join(directory, name))))
  return names.flatMap((entries, index) => entries.map(entry => `${below[index] ?? ''}/${entry}`)).toSorted()
}
