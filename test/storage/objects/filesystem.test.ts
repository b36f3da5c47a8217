import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

objectStoreContract('FilesystemObjectStore', async () => {
  const directory = await temporaryDirectory()
  return {
    store: await FilesystemObjectStore.open(directory.path),
    async close() {
      const staged = await readdir(join(directory.path, 'staging'))
      await directory.remove()
      assert.deepEqual(staged, [])
    },
  }
})
