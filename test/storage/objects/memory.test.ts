import assert from 'node:assert/strict'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { SharedUploadStore } from '../../support/shared-upload-store.ts'

for (const Store of [MemoryObjectStore, SharedUploadStore])
  objectStoreContract(Store.name, async () => {
    const store = new Store()
    return {
      store,
      async close() {
        assert.equal(store.unfinishedUploads, 0)
      },
    }
  })
