import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, it } from 'node:test'
import type { BlobFaultView, ScrubStatusView } from '../../src/registry/admin/scrub-views.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { makeDirectories } from '../../src/storage/make-directories.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { parseRepositoryName } from '../../src/storage/reference.ts'
import { imageManifest } from '../support/records.ts'
import { runVarve } from '../support/run-varve.ts'
import { bytesStreamOf } from '../support/scrub.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe('varve scrub', () => {
  const repository = parseRepositoryName('acme/app')
  let directory: TemporaryDirectory
  let metadata: Metadata
  let objects: FilesystemObjectStore
  const digests: Digest[] = []

  before(async () => {
    directory = await temporaryDirectory()
    const root = join(directory.path, 'registry')
    await makeDirectories(root)
    metadata = await openSqliteMetadata(join(root, 'varve.db'))
    objects = await FilesystemObjectStore.open(root)
    const blobs = new ObjectBlobStore({ objects, metadata }).repository(repository)
    for (let index = 0; index < 80; index++) {
      const bytes = randomBytes(10_000)
      await using writer = await blobs.create()
      await writer.write(bytesStreamOf(bytes))
      const { digest } = await writer.commit({ digest: digestOf(bytes) })
      digests.push(digest)
    }
    digests.sort()
    await metadata.putManifest(
      repository,
      imageManifest({ config: digests[79] ?? assert.fail(), tags: ['v1'] }),
    )
  })
  after(async () => {
    await metadata[Symbol.asyncDispose]()
    await directory.remove()
  })

  const scrub = (...args: readonly string[]) => runVarve(['scrub', ...args, '--data', directory.path])
  async function ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await scrub(...args)
    assert.equal(code, 0, stdout + stderr)
    return stdout
  }
  const keyOf = async (digest: Digest | undefined) =>
    (await metadata.listBlobs(undefined, 100)).find(blob => blob.digest === digest)?.objectKey ??
    assert.fail()

  it('killed amid a pass, goes on after what it had checked, and finds what is damaged', async () => {
    const [damaged] = digests.slice(-1)
    await objects.put(await keyOf(damaged), randomBytes(10_000))
    const killed = await runVarve(['scrub', 'run', '--rate', '100K', '--data', directory.path], child => {
      void (async () => {
        for (;;) {
          const { place } = await metadata.scrubState()
          if (place?.after !== undefined) break
          await new Promise(resolve => setTimeout(resolve, 20))
        }
        child.kill('SIGKILL')
      })()
    })
    assert.equal(killed.code, null)
    const { pass, place, totals } = await metadata.scrubState()
    assert.ok(place?.phase === 'blobs' && place.after !== undefined && pass.blobs > 0 && pass.blobs < 80)
    // Its lease has to run out, or be taken back, before another one goes on, which waits for that.
    const { code, stdout } = await runVarve(
      ['scrub', 'run', '--rate', '0', '--data', directory.path],
      child => {
        child.stdout?.once('data', () => forgetLease(join(directory.path, 'registry', 'varve.db')))
      },
    )
    assert.equal(code, 0)
    assert.match(
      stdout,
      /^another process is checking; this one waits for its turn\n.*\d+ blobs checked, .* read: 1 corrupt, 0 missing/s,
    )
    const state = await metadata.scrubState()
    assert.deepEqual([state.place, state.pass.number, state.pass.blobs], [null, pass.number, 80])
    assert.equal(state.totals.corrupt, totals.corrupt + 1)
  })

  it('lists what is damaged, with the tags that lead to it, and gc explains it', async () => {
    const [damaged] = digests.slice(-1)
    const list = await ok('faults')
    assert.match(list, new RegExp(`${damaged}  corrupt: its bytes are sha256:.*acme/app:v1`))
    const [fault] = JSON.parse(await ok('faults', '--json')) as BlobFaultView[]
    assert.deepEqual([fault?.digest, fault?.repositories], [damaged, [{ repository: 'acme/app', tag: 'v1' }]])
    const explained = await runVarve(['gc', 'explain', damaged ?? '', '--data', directory.path])
    assert.match(explained.stdout, /found corrupt 20.*nobody gets it until it is pushed again/)
    const status = JSON.parse(await ok('status', '--json')) as ScrubStatusView
    assert.deepEqual([status.phase, status.faults], [null, { corrupt: 1, missing: 0 }])
    assert.match(await ok('status'), /damaged now +1 blob corrupt, 0 missing/)
  })

  it('run while another process checks waits for its turn', async () => {
    const others = { holder: 'another', until: new Date(Date.now() + 2000) }
    assert.ok(await metadata.leaseScrub(others))
    const runs = await ok('run', '--rate', '0', '--json')
    assert.match(runs, /"outcome": "done"/)
    assert.doesNotMatch(runs, /another process|elsewhere/)
  })

  it('lists objects that nothing names', async () => {
    assert.match(await ok('strays'), /^no objects without a name/)
    const key = newObjectKey()
    await objects.put(key, randomBytes(2048))
    await ok('run', '--rate', '0')
    assert.match(await ok('strays'), new RegExp(`${key} +2.0 KiB`))
  })

  it('stops where too much is missing, and goes on with --all', async () => {
    for (const digest of digests.slice(0, 40)) await objects.delete([await keyOf(digest)])
    const { code, stderr } = await scrub('run', '--rate', '0')
    assert.equal(code, 5)
    assert.match(stderr, /checking has stopped: it may be the wrong bucket/)
    assert.match(await ok('status'), /check +stopped 20.* after 20 missing blobs/)
    await ok('run', '--all', '--rate', '0')
    assert.equal((await metadata.listFaults(undefined, 100)).length, 41)
  })
})

/** As if its time were over. */
function forgetLease(path: string): void {
  const database = new DatabaseSync(path)
  database.exec("delete from leases where kind = 'scrub'")
  database.close()
}
