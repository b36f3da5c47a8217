import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { errnoOf } from '../../src/errors.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { exec } from '../support/process.ts'
import { startRegistry } from '../support/registry.ts'
import { type Answer, manifestOf, RegistryClient, withQuery } from '../support/registry-client.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const MiB = 1024 * 1024
const diskMiB = 16
/** On a full disk the lease of a session cannot be given back either, so it has to run out. */
const settings = { partSizeBytes: MiB, leaseMs: 1000 }

describe('A registry whose disk is full', () => {
  it('refuses a blob that does not fit, keeps the session, and takes it when there is space', async context => {
    await onSmallDisk(context, async (client, disk) => {
      const bytes = randomBytes(6 * MiB)
      const digest = digestOf(bytes)
      const start = await client.startUpload('full')
      const first = await client.send('PATCH', start, { body: bytes.subarray(0, 2 * MiB) })
      assert.equal(first.status, 202)
      const location = String(first.headers['location'])

      await using filler = await fill(disk)
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
    await onSmallDisk(context, async (client, disk) => {
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

      await using filler = await fill(disk)
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
    await onSmallDisk(context, async client => {
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

interface Filler extends AsyncDisposable {
  remove(): Promise<void>
}

/** Takes all space that is left, to the last byte. */
async function fill(disk: string): Promise<Filler> {
  const path = join(disk, 'filler')
  const file = await open(path, 'w')
  try {
    for (const size of [MiB, 4096]) await writeUntilFull(() => file.write(Buffer.alloc(size)))
  } finally {
    await file.close()
  }
  const remove = () => rm(path, { force: true })
  return { remove, [Symbol.asyncDispose]: remove }
}

async function writeUntilFull(write: () => Promise<unknown>): Promise<void> {
  for (;;)
    try {
      await write()
    } catch (error) {
      if (errnoOf(error) === 'ENOSPC') return
      throw error
    }
}

/** Runs a test on a registry whose data are on a disk of their own. */
async function onSmallDisk(
  context: TestContext,
  test: (client: RegistryClient, disk: string) => Promise<void>,
): Promise<void> {
  await using directory = await temporaryDirectory()
  const disk = join(directory.path, 'disk')
  await mkdir(disk)
  try {
    await exec('mount', ['-t', 'tmpfs', '-o', `size=${diskMiB}m`, 'varve-test', disk])
  } catch (error) {
    context.skip(`needs the right to mount a tmpfs: ${String(error)}`)
    return
  }
  try {
    await using registry = await startRegistry({ directory: disk, settings })
    await test(new RegistryClient(registry.url), disk)
  } finally {
    await exec('umount', ['--lazy', disk])
  }
}
