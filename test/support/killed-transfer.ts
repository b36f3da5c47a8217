import { createCipheriv } from 'node:crypto'
import { join } from 'node:path'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { S3ObjectStore } from '../../src/storage/objects/s3/s3-object-store.ts'
import type { S3TestServer } from './s3-server.ts'

/** So that a process that is killed loses little, and soon lets others in. S3 takes no smaller parts. */
export const killSettings = Object.freeze({
  partSizeBytes: 5 * 1024 * 1024,
  saveEveryBytes: 10 * 1024 * 1024,
  leaseMs: 1000,
})

/** Where processes meet: a directory, and a bucket when the objects are not in the directory. */
export interface MeetingPlace {
  readonly directory: string
  readonly bucket?: Pick<S3TestServer, 'endpoint' | 'region' | 'bucket' | 'credentials'> | undefined
}

export async function openPlace({
  directory,
  bucket,
}: MeetingPlace): Promise<{ blobs: ObjectBlobStore; metadata: Metadata } & AsyncDisposable> {
  const metadata = await openSqliteMetadata(join(directory, 'varve.db'))
  const objects =
    bucket === undefined
      ? await FilesystemObjectStore.open(join(directory, 'objects'))
      : await S3ObjectStore.open(bucket)
  return {
    metadata,
    blobs: new ObjectBlobStore({ objects, metadata, settings: killSettings }),
    async [Symbol.asyncDispose]() {
      await metadata[Symbol.asyncDispose]()
      if (objects instanceof S3ObjectStore) await objects[Symbol.asyncDispose]()
    },
  }
}

/** The same bytes in every process, no two pieces alike. */
export function bytesOf(size: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(size))
}
