import assert from 'node:assert/strict'
import { MemoryObjectStore } from '../../../src/storage/objects/memory.ts'
import { observedObjectStore } from '../../../src/storage/objects/observed.ts'
import { objectStoreContract } from '../../contract/object-store.ts'

objectStoreContract('A store that is observed', async () => {
  const inner = new MemoryObjectStore()
  return {
    store: observedObjectStore(inner, () => {}),
    async close() {
      assert.equal(inner.unfinishedUploads, 0)
    },
  }
})
