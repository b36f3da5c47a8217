import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { Digest } from '../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { keysIn } from '../contract/object-store.ts'
import { backends, TestBlobStore, testSettings } from '../support/blob-store.ts'
import { freshRepository } from '../support/records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type UploadModel, uploadCommands } from './upload-model/commands.ts'
import { type HttpSession, HttpUploadSystem, RestartableRegistry } from './upload-model/http-system.ts'
import { type StoreSession, StoreUploadSystem } from './upload-model/store-system.ts'
import type { UploadSystem } from './upload-model/system.ts'

/** Runs random commands, each run in a repository of its own, and answers every blob that was committed. */
async function runCommands<Session>(
  systemFor: () => UploadSystem<Session>,
  { runs, length }: { runs: number; length: number },
): Promise<Set<Digest>> {
  const pushed = new Set<Digest>()
  await fc.assert(
    fc.asyncProperty(
      fc.commands(uploadCommands<Session>(), { maxCommands: length, size: 'max' }),
      async commands => {
        const model: UploadModel<Session> = { sessions: [], blobs: new Map() }
        await fc.asyncModelRun(() => ({ model, real: systemFor() }), commands)
        for (const digest of model.blobs.keys()) pushed.add(digest)
      },
    ),
    { numRuns: runs, endOnFailure: true },
  )
  return pushed
}

for (const backend of Object.keys(backends))
  describe(`Random uploads into a blob store (${backend}, SQLite)`, () => {
    let opened: TestBlobStore | undefined
    after(() => opened?.close())

    it('are what the model says, and leave nothing behind', async () => {
      const store = await TestBlobStore.open(backend)
      opened = store
      const systemFor = () => new StoreUploadSystem(store, freshRepository())
      const pushed = await runCommands<StoreSession>(systemFor, { runs: 60, length: 40 })
      store.advance(testSettings.uploadTtlMs + testSettings.leaseMs + 1)
      assert.deepEqual(await store.sweep(), { objects: pushed.size, unfinished: 0 })
    })
  })

describe('Random uploads over HTTP', () => {
  it('are what the model says, and leave nothing behind', async () => {
    await using directory = await temporaryDirectory()
    const registry = await RestartableRegistry.start(directory.path)
    let pushed: Set<Digest>
    try {
      const systemFor = () => new HttpUploadSystem(registry, freshRepository())
      pushed = await runCommands<HttpSession>(systemFor, { runs: 30, length: 30 })
    } finally {
      await registry.stop()
    }
    assert.deepEqual(await sweptAfterExpiry(directory.path), { objects: pushed.size, staged: 0 })
  })
})

/** What is left of the data of a registry that was stopped, when all its sessions have expired. */
async function sweptAfterExpiry(directory: string): Promise<{ objects: number; staged: number }> {
  const objects = await FilesystemObjectStore.open(join(directory, 'objects'))
  const later = Date.now() + 1000 * 60 * 60 * 1000
  await using metadata = await openSqliteMetadata(join(directory, 'metadata.sqlite'), { now: () => later })
  const { failures } = await new ObjectBlobStore({ objects, metadata }).sweepUploads(new Date(later))
  assert.deepEqual(failures, [])
  const staged = await readdir(join(directory, 'objects', 'staging'))
  return { objects: (await keysIn(objects)).length, staged: staged.length }
}
