import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { describe, it } from 'node:test'
import { newObjectKey } from '../../../src/storage/objects/keys.ts'
import { probeStore, type StoreCapabilities } from '../../../src/storage/objects/s3/probe.ts'
import { S3ObjectStore } from '../../../src/storage/objects/s3/s3-object-store.ts'
import { keysIn } from '../../contract/object-store.ts'
import { startMantaProxy } from '../../support/manta-proxy.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { s3ServerKinds, skipWithoutS3, startS3Server } from '../../support/s3-server.ts'

for (const kind of s3ServerKinds)
  describe(`The probe of ${kind}`, { skip: await skipWithoutS3(kind) }, () => {
    it('finds everything, and leaves nothing behind', async () => {
      await using server = await startS3Server(kind)
      const found = await probeStore(server)
      assert.deepEqual(failed(found), [])
      assert.ok(found.isUsable && found.conditionalPut && found.checksParts && found.listsUnfinished)
      await using store = await S3ObjectStore.open(server)
      assert.deepEqual(await keysIn(store), [])
      assert.deepEqual(await Array.fromAsync(store.unfinished()), [])
    })

    it('finds that Manta does not list uploads, which is no fault', async () => {
      await using server = await startS3Server(kind)
      await using proxy = await startMantaProxy(server)
      const found = await probeStore({ ...proxy, profile: 'manta' })
      assert.deepEqual(failed(found), ['list unfinished'])
      assert.ok(found.isUsable)
      proxy.isFull = true
      const full = await probeStore({ ...proxy, profile: 'manta', maxAttempts: 1 })
      assert.deepEqual(failed(full), ['write'])
      assert.match(full.checks.at(-1)?.detail ?? '', /takes no more bytes \(NotEnoughSpace\)/)
    })

    it('says what is wrong with a bucket', async () => {
      await using server = await startS3Server(kind)
      const missing = await probeStore({ ...server, bucket: 'nowhere' })
      assert.ok(!missing.isUsable)
      assert.match(missing.checks.at(-1)?.detail ?? '', /The bucket nowhere does not exist/)
      const credentials = { ...server.credentials, secretAccessKey: 'wrong' }
      const refused = await probeStore({ ...server, credentials })
      assert.match(refused.checks.at(-1)?.detail ?? '', /does not accept the credentials/)
    })
  })

describe('A store that ignores If-None-Match', () => {
  it('is found out once, and asked by HEAD then', async () => {
    const seen: string[] = []
    const objects = new Set<string>()
    const server = createServer((request, response) => {
      const { method = '', url = '' } = request
      const name = new URL(url, 'http://store').pathname
      if (!name.includes('/probe/')) seen.push(method)
      if (method === 'PUT') objects.add(name)
      response.statusCode = method === 'HEAD' && !objects.has(name) ? 404 : 200
      request.resume().on('end', () => response.end())
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const address = server.address()
    assert.ok(address !== null && typeof address === 'object')
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' }
    const endpoint = `http://127.0.0.1:${address.port}`
    await using store = await S3ObjectStore.open({ bucket: 'bucket', endpoint, credentials })
    assert.equal(await store.hasConditionalPut(), false)
    const key = newObjectKey()
    await store.put(key, Buffer.from('1'), { ifAbsent: true })
    await rejectsWith('already_exists', store.put(key, Buffer.from('2'), { ifAbsent: true }))
    assert.deepEqual(seen, ['HEAD', 'PUT', 'HEAD'])
    server.close()
    server.closeAllConnections()
  })
})

function failed({ checks }: StoreCapabilities): string[] {
  return checks.filter(({ isOk }) => !isOk).map(({ name }) => name)
}
