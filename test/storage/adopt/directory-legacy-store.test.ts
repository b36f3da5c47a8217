import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DirectoryLegacyStore } from '../../../src/storage/adopt/directory-legacy-store.ts'
import { legacyStoreContract } from '../../contract/legacy-store.ts'
import { LegacyFiles } from '../../support/legacy-files.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

legacyStoreContract('DirectoryLegacyStore', async files => {
  const directory = await temporaryDirectory()
  await files.write(directory.path)
  await writeFile(join(directory.path, 'config.yml'), 'secret')
  return { store: await DirectoryLegacyStore.open(directory.path), close: () => directory.remove() }
})

describe('the directory of a registry', () => {
  it('is the root directory of its storage, or the one of its layout', async () => {
    await using directory = await temporaryDirectory()
    const files = new LegacyFiles()
    files.image('a', 'latest', [])
    await files.write(directory.path)
    for (const below of ['', 'docker/registry/v2']) {
      await using store = await DirectoryLegacyStore.open(join(directory.path, below))
      assert.equal((await Array.fromAsync(store.list('repositories/'))).length, files.files.size - 2)
    }
    await rejectsWith('not_found', DirectoryLegacyStore.open(join(directory.path, 'docker')))
  })
})
