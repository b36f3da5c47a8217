import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobStoreSettings } from '../../src/storage/blobs/blob-store-parts.ts'
import { BlobCache } from '../../src/storage/blobs/blob-cache.ts'
import { ObjectBlobStore } from '../../src/storage/blobs/object-blob-store.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { openSqliteMetadata } from '../../src/storage/metadata/sqlite.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import type { ObjectStore } from '../../src/storage/objects/object-store.ts'
import { keysIn } from '../contract/object-store.ts'
import { SharedUploadStore } from './shared-upload-store.ts'
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts'

export const testSettings: BlobStoreSettings = {
  partSizeBytes: 1024,
  uploadTtlMs: 3_600_000,
  leaseMs: 60_000,
  partHoldMs: 5_000,
  saveEveryBytes: 65_536,
  verifyReads: false,
}

/** Object stores to build a blob store on. */
export const backends: Readonly<Record<string, (directory: string, now: () => number) => Promise<Backend>>> =
  {
    async filesystem(directory) {
      const objects = await FilesystemObjectStore.open(join(directory, 'objects'))
      const staging = join(directory, 'objects', 'staging')
      return { objects, unfinished: async () => (await readdir(staging)).length }
    },
    async memory(_directory, now) {
      const objects = new MemoryObjectStore(now)
      return { objects, unfinished: async () => objects.unfinishedUploads }
    },
    async 'shared uploads'(_directory, now) {
      const objects = new SharedUploadStore(now)
      return { objects, unfinished: async () => objects.unfinishedUploads }
    },
  }

export interface Backend {
  readonly objects: ObjectStore
  unfinished(): Promise<number>
}

export type Decorate = (parts: { objects: ObjectStore; metadata: Metadata }) => {
  objects: ObjectStore
  metadata: Metadata
}

/** A blob store with SQLite on a temporary directory, and a clock that stands still until it is advanced. */
export class TestBlobStore {
  readonly blobs: ObjectBlobStore
  readonly replica: ObjectBlobStore
  readonly metadata: Metadata
  readonly objects: ObjectStore
  readonly #backend: Backend
  readonly #directory: TemporaryDirectory
  readonly #clock: { time: number }

  private constructor(
    backend: Backend,
    metadata: Metadata,
    directory: TemporaryDirectory,
    clock: { time: number },
    decorate: Decorate,
    cacheBytes: number,
  ) {
    // To each its own, as processes have it.
    const options = () => ({
      settings: testSettings,
      now: () => clock.time,
      cache: cacheBytes === 0 ? undefined : new BlobCache(cacheBytes),
    })
    const plain = { objects: backend.objects, metadata }
    this.blobs = new ObjectBlobStore({ ...decorate(plain), ...options() })
    this.replica = new ObjectBlobStore({ ...plain, ...options() })
    this.metadata = metadata
    this.objects = backend.objects
    this.#backend = backend
    this.#directory = directory
    this.#clock = clock
  }

  /**
   * @param decorate is put between `blobs`, but not `replica`, and its stores.
   * @param cacheBytes that `blobs` and `replica` each keep of small blobs.
   */
  static async open(
    backend: keyof typeof backends,
    decorate: Decorate = parts => parts,
    cacheBytes = 0,
  ): Promise<TestBlobStore> {
    const directory = await temporaryDirectory()
    const clock = { time: Date.UTC(2026, 0, 1) }
    const metadata = await openSqliteMetadata(join(directory.path, 'varve.db'), { now: () => clock.time })
    const make = backends[backend]
    if (make === undefined) throw new Error(`there is no backend ${backend}`)
    return new TestBlobStore(
      await make(directory.path, () => clock.time),
      metadata,
      directory,
      clock,
      decorate,
      cacheBytes,
    )
  }

  advance(ms: number): void {
    this.#clock.time += ms
  }

  /** Sweeps, then counts what is left. */
  async sweep(): Promise<{ objects: number; unfinished: number }> {
    const { failures } = await this.replica.sweepUploads(new Date(this.#clock.time))
    if (failures[0] !== undefined) throw failures[0]
    return { objects: (await keysIn(this.objects)).length, unfinished: await this.#backend.unfinished() }
  }

  async close(): Promise<void> {
    await this.metadata[Symbol.asyncDispose]()
    await this.#directory.remove()
  }
}
