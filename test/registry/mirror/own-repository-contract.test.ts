import { join } from 'node:path'
import { OwnRegistry } from '../../../src/registry/mirror/own-registry.ts'
import { defaultBlobStoreSettings } from '../../../src/storage/blobs/blob-store-parts.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { openSqliteMetadata } from '../../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../../src/storage/objects/filesystem.ts'
import { imageRepositoryContract } from '../../contract/image-repository.ts'
import { freshRepository } from '../../support/records.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const times = { waitMs: 5000, retryMs: 5, longestPauseMs: 5 }

for (const requireReferences of ['none', 'blobs'] as const)
  imageRepositoryContract(
    `Our own repository (references required: ${requireReferences})`,
    {
      keeps: 'for-ever',
      deletesTags: true,
      siblings: true,
      requiresBlobs: requireReferences === 'blobs',
      algorithms: ['sha256', 'sha512'],
    },
    async () => {
      const directory = await temporaryDirectory()
      const metadata = await openSqliteMetadata(join(directory.path, 'varve.db'))
      const objects = await FilesystemObjectStore.open(join(directory.path, 'objects'))
      const settings = { ...defaultBlobStoreSettings, partSizeBytes: 64 * 1024 }
      const registry = () =>
        new OwnRegistry({
          blobs: new ObjectBlobStore({ objects, metadata, settings }),
          metadata,
          requireReferences,
          times,
        })
      const [name, siblingName] = [freshRepository(), freshRepository()]
      const first = registry()
      return {
        repository: first.repository(name),
        successor: async () => registry().repository(name),
        sibling: { repository: first.repository(siblingName), name: siblingName },
        async close() {
          await metadata[Symbol.asyncDispose]()
          await directory.remove()
        },
      }
    },
  )
