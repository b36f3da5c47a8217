import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { type OpenedObjectStore, objectStoreContract } from '../../contract/object-store.ts'
import { startMantaProxy } from '../../support/manta-proxy.ts'
import {
  type S3TestServer,
  s3Client,
  s3ServerKinds,
  skipWithoutS3,
  startS3Server,
} from '../../support/s3-server.ts'

/** S3 takes no smaller part, unless it is the last one. */
const partSize = 5 * 1024 * 1024

for (const kind of s3ServerKinds) {
  const skip = await skipWithoutS3(kind)
  describe(`${kind}`, { skip }, () => {
    objectStoreContract(
      `S3ObjectStore (${kind})`,
      async () => {
        const server = await startS3Server(kind)
        return await open(server, server)
      },
      { partSize },
    )
    objectStoreContract(
      `S3ObjectStore (${kind} as Manta, below a prefix)`,
      async () => {
        const server = await startS3Server(kind)
        const proxy = await startMantaProxy(server)
        return await open(server, { ...proxy, profile: 'manta', prefix: 'registry/' }, proxy)
      },
      { partSize, listsUnfinished: false },
    )
  })
}

async function open(
  server: S3TestServer,
  options: S3ObjectStoreOptions,
  proxy?: AsyncDisposable,
): Promise<OpenedObjectStore> {
  // What hangs should not do so for minutes.
  const store = await S3ObjectStore.open({ ...options, idleTimeoutMs: 10_000, maxAttempts: 2 })
  return {
    store,
    async close() {
      await using stack = new AsyncDisposableStack()
      stack.use(server)
      if (proxy !== undefined) stack.use(proxy)
      stack.use(store)
      assert.deepEqual(await leftIn(server), [])
    },
  }
}

/** Asked of the real server, which knows what no method of the store shows. */
async function leftIn(server: S3TestServer): Promise<unknown[]> {
  const client = s3Client(server)
  try {
    const input = { Bucket: server.bucket }
    const { Contents: objects = [] } = await client.send(new ListObjectsV2Command(input))
    const { Uploads: uploads = [] } = await client.send(new ListMultipartUploadsCommand(input))
    return [...objects, ...uploads]
  } finally {
    client.destroy()
  }
}
