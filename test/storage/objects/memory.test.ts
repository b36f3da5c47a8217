import assert from 'node:assert/strict'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

objectStoreContract('MemoryObjectStore', async () => {
  const store = new MemoryObjectStore()
  return {
    store,
    async close() {
      assert.equal(store.unfinishedUploads, 0)
    },
  }
})
