/** Stores that have a host name for each bucket: `BUCKET.s3.test` in the place of a path. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { describe, it, mock } from 'node:test'
import { request } from 'undici'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { probeStore } from '../../../src/storage/objects/s3/probe.ts'
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { objectStoreContract } from '../../contract/object-store.ts'
import { type S3TestServer, s3ServerKinds, skipWithoutS3, startS3Server } from '../../support/s3-server.ts'

/** S3 takes no smaller part, unless it is the last one. */
const partSize = 5 * 1024 * 1024
const domain = 's3.test'

const asked = new Set<string>()
const { lookup } = dns
/** What a DNS would say; node:net looks this function up at each connection. */
mock.method(dns, 'lookup', (name: string, options: dns.LookupAllOptions, done: LookupDone) => {
  asked.add(name)
  if (!name.endsWith(domain)) return lookup(name, options, done)
  return process.nextTick(done, null, [{ address: '127.0.0.1', family: 4 }])
})

type LookupDone = (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void

for (const kind of s3ServerKinds) {
  const skip = await skipWithoutS3(kind)
  describe(`${kind} with a host name for each bucket`, { skip }, () => {
    objectStoreContract(
      `S3ObjectStore (${kind}, the bucket in the host name)`,
      async () => {
        const server = await startS3Server(kind, { domain })
        const store = await S3ObjectStore.open({
          ...virtual(server),
          idleTimeoutMs: 10_000,
          maxAttempts: 2,
        })
        return {
          store,
          async close() {
            await store[Symbol.asyncDispose]()
            await server.stop()
          },
        }
      },
      { partSize },
    )

    it('can do all that is asked of a store, and signs URLs that anybody can read', async () => {
      await using server = await startS3Server(kind, { domain })
      const options = virtual(server)
      asked.clear()
      const { isUsable, checks } = await probeStore(options)
      assert.ok(isUsable, JSON.stringify(checks))
      assert.deepEqual([...asked], [`${server.bucket}.${domain}`])

      await using store = await S3ObjectStore.open(options)
      const key = newObjectKey()
      const bytes = randomBytes(10_000)
      await store.put(key, bytes)
      const url = await store.presignGet(key, 60)
      assert.equal(url.hostname, `${server.bucket}.${domain}`)
      assert.equal(url.pathname, `/${key}`)
      const { statusCode, body } = await request(url)
      assert.equal(statusCode, 200)
      assert.ok(Buffer.from(await body.arrayBuffer()).equals(bytes))
      await store.delete([key])
    })
  })
}

function virtual(server: S3TestServer): S3ObjectStoreOptions {
  const endpoint = new URL(server.endpoint)
  endpoint.hostname = domain
  return { ...server, endpoint: endpoint.href, pathStyle: false }
}
