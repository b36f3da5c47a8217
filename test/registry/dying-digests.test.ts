/** The thread that checks what is pulled dies again and again, under many pulls and pushes of a registry that goes on. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createRegistryApp } from '../../src/registry/app.ts'
import { defaultServerTimeouts, listen } from '../../src/registry/server.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { DigestThread } from '../../src/storage/streams/digest-thread.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { testLog } from '../support/test-logs.ts'

const blobBytes = 3 * 1024 * 1024
const runMs = 3_000
const hangMs = 60_000
const pullers = 24
const pushers = 8

type Blob = ReturnType<typeof blobOf>
interface Seen {
  readonly killed: Set<Worker>
  /** Pulls that were refused or broken off. */
  broken: number
}
const blobOf = (bytes: Buffer) => ({ bytes, digest: digestOf(bytes) })

describe('A registry whose digest thread dies', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  const damaged: string[] = []
  let repository: string
  let objects: string

  before(async () => {
    const { path } = resources.use(await temporaryDirectory())
    objects = join(path, 'objects')
    const metadata = resources.use(await openSqliteMetadata(join(path, 'varve.db')))
    const blobs = new ObjectBlobStore({
      objects: await FilesystemObjectStore.open(objects),
      metadata,
      digests: resources.use(new DigestThread()),
      onDamaged: ({ digest }) => damaged.push(digest),
      settings: { verifyReads: true },
    })
    const app = createRegistryApp({ blobs, metadata, log: testLog() })
    const timeouts = { ...defaultServerTimeouts, stopMs: 1000 }
    const server = await listen(app.callback(), { host: '127.0.0.1', port: 0 }, timeouts)
    resources.defer(() => server.close())
    repository = `${server.url}/v2/team/app/blobs`
  })
  after(() => resources.disposeAsync())

  const push = async (bytes: Buffer, digest: string): Promise<number> => {
    const signal = AbortSignal.timeout(hangMs)
    const begun = await fetch(`${repository}/uploads/`, { method: 'POST', signal })
    const place = new URL(begun.headers.get('location') ?? '', repository)
    place.searchParams.set('digest', digest)
    const { status } = await fetch(place, { method: 'PUT', body: new Uint8Array(bytes), signal })
    return status
  }

  /** Undefined: refused or broken off. */
  const pull = async (digest: string): Promise<Buffer | undefined> => {
    const signal = AbortSignal.timeout(hangMs)
    try {
      const response = await fetch(`${repository}/${digest}`, { signal })
      const bytes = Buffer.from(await response.arrayBuffer())
      if (response.status === 200) return bytes
      assert.equal(response.status, 503)
    } catch (error) {
      if (signal.aborted || error instanceof assert.AssertionError) throw error
    }
    return undefined
  }

  it('lets no request hang and gives and takes nothing that was not checked; then all is as before', async t => {
    const told = t.mock.method(Worker.prototype, 'postMessage')
    const threads = (): Worker[] =>
      told.mock.calls.map(call => call.this).filter(one => one instanceof Worker)
    const good = Array.from({ length: 4 }, () => blobOf(randomBytes(blobBytes)))
    const spoilt = blobOf(randomBytes(blobBytes + 1))
    for (const { bytes, digest } of [...good, spoilt]) assert.equal(await push(bytes, digest), 201)
    await spoil(objects, spoilt.bytes.length)

    const end = performance.now() + runMs
    const seen: Seen = { killed: new Set(), broken: 0 }
    // On a slow machine it takes longer until enough has happened.
    const isOver = (): boolean => performance.now() >= end && seen.killed.size > 3 && seen.broken > 0
    const pushed: Blob[] = []
    await Promise.all([
      ...Array.from({ length: pullers }, async (_, index) => {
        for (let round = index; !isOver(); round += 1) {
          const wanted = round % 5 === 4 ? spoilt : (good[round % 4] ?? spoilt)
          const bytes = await pull(wanted.digest)
          if (bytes !== undefined) assert.equal(digestOf(bytes), wanted.digest)
          else seen.broken += 1
        }
      }),
      ...Array.from({ length: pushers }, async () => {
        while (!isOver()) {
          const blob = blobOf(randomBytes(300_000))
          assert.equal(await push(blob.bytes, digestOf(randomBytes(8))), 400)
          assert.equal(await push(blob.bytes, blob.digest), 201)
          pushed.push(blob)
        }
      }),
      killUntil(isOver, seen.killed, threads),
    ])
    // That it could not be checked is no reason to take a blob for damaged.
    assert.deepEqual(new Set(damaged.filter(digest => digest !== spoilt.digest)), new Set())

    for (const { bytes, digest } of [...good, ...pushed]) assert.deepEqual(await pull(digest), bytes)
    assert.equal(await pull(spoilt.digest), undefined)
    assert.ok(damaged.includes(spoilt.digest))
  })

  /**
   * By the two ways in which a thread ends: from outside, and by an error of its own.
   * @param killed grows.
   * @param used threads that were ever given work.
   */
  async function killUntil(
    isOver: () => boolean,
    killed: Set<Worker>,
    used: () => readonly Worker[],
  ): Promise<void> {
    while (!isOver()) {
      await sleep(10 + (killed.size % 5) * 40)
      const thread = used().find(one => !killed.has(one))
      if (thread === undefined) continue
      killed.add(thread)
      if (killed.size % 2 === 0) await thread.terminate()
      else thread.postMessage({ id: -1, kind: 'end' })
    }
  }
})

/** Changes a byte of the object that has this size. */
async function spoil(directory: string, size: number): Promise<void> {
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    const bytes = await readFile(file)
    if (bytes.length !== size) continue
    bytes[1000] = (bytes[1000] ?? 0) ^ 1
    await writeFile(file, bytes)
    return
  }
  throw new Error('there is no such object')
}
