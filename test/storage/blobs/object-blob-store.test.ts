import { blobStoreContract } from '../../contract/blob-store.ts'
import { backends, TestBlobStore, testSettings } from '../../support/blob-store.ts'

const caches: readonly (readonly [name: string, bytes: number])[] = [
  ['', 0],
  [', small blobs in memory', 1024 * 1024],
  // Room for a few of them, so that they come and go.
  [', some small blobs in memory', 16 * 1024],
]

for (const backend of Object.keys(backends))
  for (const [name, cacheBytes] of caches) run(backend, name, cacheBytes)

function run(backend: string, name: string, cacheBytes: number): void {
  blobStoreContract(`ObjectBlobStore (${backend}, SQLite${name})`, async () => {
    const opened = await TestBlobStore.open(backend, undefined, cacheBytes)
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
