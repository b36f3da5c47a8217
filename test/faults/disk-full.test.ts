import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, type TestContext } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { startRegistry } from '../support/registry.ts'
import { type Answer, manifestOf, RegistryClient, withQuery } from '../support/registry-client.ts'
import { fillDisk, onSmallDisk } from '../support/small-disk.ts'

const MiB = 1024 * 1024
const diskMiB = 16
/** On a full disk the lease of a session cannot be given back either, so it has to run out. */
const settings = { partSizeBytes: MiB, leaseMs: 1000 }

describe('A registry whose disk is full', () => {
  it('refuses a blob that does not fit, keeps the session, and takes it when there is space', async context => {
    await onOwnDisk(context, async (client, disk) => {
      const bytes = randomBytes(6 * MiB)
      const digest = digestOf(bytes)
      const start = await client.startUpload('full')
      const first = await client.send('PATCH', start, { body: bytes.subarray(0, 2 * MiB) })
      assert.equal(first.status, 202)
      const location = String(first.headers['location'])

      await using filler = await fillDisk(disk)
      assertNoSpace(await client.send('PATCH', location, { body: bytes.subarray(2 * MiB) }))
      await filler.remove()

      const { status, headers } = await client.send('GET', location)
      const offset = Number(headers['range']?.split('-')[1]) + 1
      assert.equal(status, 204)
      assert.ok(offset >= 2 * MiB && offset < bytes.length, `${offset} bytes are kept`)
      const rest = {
        headers: { 'content-range': `${offset}-${bytes.length - 1}` },
        body: bytes.subarray(offset),
      }
      const next = await client.send('PATCH', String(headers['location']), rest)
      assert.equal(next.status, 202)
      const close = withQuery(String(next.headers['location']), 'digest', digest)
      assert.equal((await client.send('PUT', close)).status, 201)
      assert.ok((await client.send('GET', `/v2/full/blobs/${digest}`)).bytes.equals(bytes))
    })
  })

  it('refuses every other push as well, and serves what it has', async context => {
    await onOwnDisk(context, async (client, disk) => {
      const config = Buffer.from('{}')
      const digest = await client.pushImage('full', 'kept', config)
      const blob = randomBytes(MiB)
      const single = `/v2/full/blobs/uploads/?digest=${digestOf(blob)}`
      // More than the pages that SQLite may have left over in its files.
      const manifest = manifestOf(config, [], { annotations: { filler: 'x'.repeat(2 * MiB) } })
      const push = async () => [
        await client.send('POST', single, { body: blob }),
        await client.putManifest('full', 'refused', manifest),
      ]

      await using filler = await fillDisk(disk)
      for (const answer of await push()) assertNoSpace(answer)
      for (const path of ['manifests/kept', `manifests/${digest}`, `blobs/${digestOf(config)}`])
        assert.equal((await client.send('GET', `/v2/full/${path}`)).status, 200)
      for (const path of ['manifests/refused', `blobs/${digestOf(blob)}`])
        assert.equal((await client.send('GET', `/v2/full/${path}`)).status, 404)

      await filler.remove()
      for (const answer of await push()) assert.equal(answer.status, 201)
    })
  })

  it('refuses a blob larger than the disk, and keeps nothing of it that would fill the disk', async context => {
    await onOwnDisk(context, async client => {
      const bytes = randomBytes((diskMiB + 4) * MiB)
      const single = `/v2/full/blobs/uploads/?digest=${digestOf(bytes)}`
      for (const _ of [1, 2, 3]) assertNoSpace(await client.send('POST', single, { body: bytes }))
      const fits = randomBytes(10 * MiB)
      await client.pushBlob('full', fits)
      assert.equal((await client.send('HEAD', `/v2/full/blobs/${digestOf(bytes)}`)).status, 404)
    })
  })
})

function assertNoSpace({ status, codes, bytes }: Answer): void {
  assert.deepEqual([status, codes], [507, ['UNAVAILABLE']])
  assert.match(bytes.toString(), /no space left/)
}

/** Runs a test on a registry whose data are on a disk of their own. */
async function onOwnDisk(
  context: TestContext,
  test: (client: RegistryClient, disk: string) => Promise<void>,
): Promise<void> {
  await onSmallDisk(context, diskMiB, async disk => {
    await using registry = await startRegistry({ directory: disk, settings })
    await test(new RegistryClient(registry.url), disk)
  })
}
