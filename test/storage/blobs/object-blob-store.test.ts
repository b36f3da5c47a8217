import { blobStoreContract } from '../../contract/blob-store.ts'
import { backends, TestBlobStore, testSettings } from '../../support/blob-store.ts'

for (const backend of Object.keys(backends)) {
  blobStoreContract(`ObjectBlobStore (${backend}, SQLite)`, async () => {
    const opened = await TestBlobStore.open(backend)
    return {
      blobs: opened.blobs,
      replica: opened.replica,
      partSize: testSettings.partSizeBytes,
      leaseMs: testSettings.leaseMs,
      uploadTtlMs: testSettings.uploadTtlMs,
      advance: ms => opened.advance(ms),
      sweep: () => opened.sweep(),
      close: () => opened.close(),
    }
  })
}
