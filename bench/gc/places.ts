import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { S3ObjectStore } from '../../src/storage/objects/s3/s3-object-store.ts'
import { type S3ServerKind, startS3Server } from '../../test/support/s3-server.ts'
import type { WriteObject } from './garbage.ts'

/** Where a registry keeps its objects. */
export interface Place {
  readonly name: string
  /** Of varve.yaml. */
  readonly storage: Readonly<Record<string, unknown>>
  readonly write: WriteObject
}

/** Files are not synced: nobody waits for them. */
export function filesystem(data: string): Place {
  const made = new Set<string>()
  return {
    name: 'filesystem',
    storage: {},
    write: async (key, bytes) => {
      const path = join(data, 'registry', 'objects', key)
      const directory = dirname(path)
      if (!made.has(directory)) await mkdir(directory, { recursive: true })
      made.add(directory)
      await writeFile(path, bytes)
    },
  }
}

export async function s3(kind: S3ServerKind, stack: AsyncDisposableStack): Promise<Place> {
  const { endpoint, region, bucket, credentials: given } = stack.use(await startS3Server(kind))
  const options = { endpoint, region, bucket, prefix: 'varve/' }
  // The SDK adds to what it is given.
  const credentials = { accessKeyId: given.accessKeyId, secretAccessKey: given.secretAccessKey }
  const store = stack.use(
    await S3ObjectStore.open({ ...options, credentials: { ...credentials }, profile: 's3' }),
  )
  return {
    name: kind,
    storage: { driver: 's3', redirect: false, s3: { ...options, ...credentials } },
    write: async (key, bytes) => void (await store.put(key, bytes)),
  }
}
