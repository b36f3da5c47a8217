import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { DomainError, isDomainError } from '../../../src/errors.ts'
import { Collector } from '../../../src/registry/collect/collector.ts'
import { tenantOf } from '../../../src/storage/accounts/names.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import type { KeepTimes } from '../../../src/storage/metadata/keep-times.ts'
import type { NewManifest } from '../../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import type { ObjectStore } from '../../../src/storage/objects/object-store.ts'
import { parseReference, parseTag, type RepositoryName, type Tag } from '../../../src/storage/reference.ts'
import { keysIn } from '../../contract/object-store.ts'
import { testSettings } from '../../support/blob-store.ts'
import { interceptMetadata, interceptObjects } from '../../support/intercepted.ts'
import { Model } from './model.ts'

export const keep: KeepTimes = { graceMs: 1000, objectDelayMs: 100, undeleteMs: 1500, keepDamagedMs: 5000 }
export const policy = { untaggedMs: 3000, referrers: 'delete' } as const

export interface Clock {
  time: number
}

/** The registry's stores with the model beside them: every step is done in both, and what ought to be there is looked at. */
export class World {
  readonly model = new Model()
  readonly #metadata: Metadata
  readonly #objects: ObjectStore
  readonly #blobs: ObjectBlobStore
  readonly #clock: Clock
  #collectors = 0

  constructor(metadata: Metadata, objects: ObjectStore, clock: Clock) {
    this.#metadata = metadata
    this.#objects = objects
    this.#clock = clock
    this.#blobs = new ObjectBlobStore({ objects, metadata, settings: testSettings, now: () => clock.time })
  }

  /** As clients push: what is said to be there is not sent again. */
  async pushBlob(name: RepositoryName, bytes: Buffer): Promise<Digest> {
    const digest = digestOf(bytes)
    if (await this.headBlob(name, digest)) return digest
    await using writer = await this.#blobs.repository(name).create()
    await writer.write(Readable.from([bytes]))
    await writer.commit({ digest })
    this.model.of(name).blobs.add(digest)
    this.#promise(name, digest)
    return digest
  }

  async headBlob(name: RepositoryName, digest: Digest): Promise<boolean> {
    return this.#told(name, digest, this.#blobs.repository(name).stat(digest), 'blobs')
  }

  async mount(name: RepositoryName, from: RepositoryName, digest: Digest): Promise<void> {
    if (!(await isThere(this.#blobs.repository(name).link(digest, from)))) return
    this.model.of(name).blobs.add(digest)
    this.#promise(name, digest)
  }

  async headManifest(name: RepositoryName, digest: Digest): Promise<boolean> {
    return this.#told(name, digest, this.#metadata.statManifest(name, parseReference(digest)), 'manifests')
  }

  /** All that it must have was promised to be there. */
  async putManifest(name: RepositoryName, manifest: NewManifest, tag: Tag | undefined): Promise<void> {
    const tags = tag === undefined ? [] : [tag]
    await this.#metadata.putManifest(name, { ...manifest, tags })
    const model = this.model.of(name)
    model.manifests.set(manifest.digest, manifest)
    if (tag !== undefined) model.tags.set(tag, manifest.digest)
    this.#promise(name, manifest.digest)
  }

  async untag(name: RepositoryName, tag: Tag): Promise<void> {
    const isGone = await isThere(this.#metadata.deleteTag(name, parseTag(tag)))
    assert.equal(isGone, this.model.of(name).tags.delete(tag))
  }

  async deleteManifest(name: RepositoryName, digest: Digest): Promise<void> {
    if (!(await isThere(this.#metadata.deleteManifest(name, digest)))) return
    const model = this.model.of(name)
    model.manifests.delete(digest)
    model.promised.delete(digest)
    for (const [tag, named] of model.tags) if (named === digest) model.tags.delete(tag)
  }

  async deleteBlob(name: RepositoryName, digest: Digest): Promise<void> {
    try {
      await this.#metadata.unlinkBlob(name, digest)
    } catch (error) {
      if (isDomainError(error, 'not_found', 'conflict')) return
      throw error
    }
    const model = this.model.of(name)
    model.blobs.delete(digest)
    model.promised.delete(digest)
  }

  /** @param dieAt after so many calls to the stores the process is dead: nothing more of it happens. */
  async collect(dieAt = Number.POSITIVE_INFINITY): Promise<void> {
    let calls = 0
    const mortal = <Result>(_method: string, call: () => Promise<Result>): Promise<Result> => {
      calls += 1
      if (calls > dieAt) throw new DomainError('unavailable', 'The process is dead.', { resource: 'request' })
      return call()
    }
    const metadata = interceptMetadata(this.#metadata, mortal)
    const objects = interceptObjects(this.#objects, mortal)
    const blobs = new ObjectBlobStore({
      objects,
      metadata,
      settings: testSettings,
      now: () => this.#clock.time,
    })
    this.#collectors += 1
    const collector = new Collector({
      records: metadata,
      sweepGarbage: options => blobs.sweepGarbage(options),
      holder: `collector ${this.#collectors}`,
      // The lease of one that died is over before the next one is needed.
      settings: { policy, batch: 4, tickMs: 100, window: undefined },
      now: () => this.#clock.time,
    })
    try {
      await collector.tick()
    } catch (error) {
      if (!isDomainError(error, 'unavailable')) throw error
    }
  }

  /** Nothing that a tag leads to, and nothing that was promised, is gone. What else is gone may have gone. */
  async check(): Promise<void> {
    const now = this.#clock.time
    for (const [name, { promised, manifests, blobs }] of this.model.repositories) {
      const kept = this.model.keptManifests(name)
      const keptBlobs = this.model.keptBlobs(name, kept)
      const isPromised = (digest: Digest) => (promised.get(digest) ?? 0) > now
      for (const digest of manifests.keys())
        if (kept.has(digest) || isPromised(digest)) await this.#assertManifest(name, digest)
        else if (!(await this.#holds(name, digest))) manifests.delete(digest)
      for (const digest of blobs)
        if (keptBlobs.has(digest) || isPromised(digest)) await this.#assertBlob(name, digest)
        else if (!(await this.#holds(name, digest))) blobs.delete(digest)
    }
  }

  /** Nothing else is there, however it is looked for, when everybody has been away for long enough. */
  async checkSettled(): Promise<void> {
    const stored = new Set<Digest>()
    for (const [name, { manifests, blobs, tags }] of this.model.repositories) {
      const kept = this.model.keptManifests(name)
      const keptBlobs = this.model.keptBlobs(name, kept)
      for (const digest of manifests.keys())
        assert.equal(await this.#holds(name, digest), kept.has(digest), `${name}@${digest}`)
      for (const digest of blobs)
        assert.equal(await this.#holds(name, digest), keptBlobs.has(digest), `${name}, blob ${digest}`)
      for (const digest of keptBlobs) stored.add(digest)
      assert.equal(await this.#metadata.hasRepository(name), tags.size > 0, name)
      const usage = await this.#metadata.getUsage(tenantOf(name))
      assert.deepEqual(await this.#metadata.recountUsage(tenantOf(name)), usage)
    }
    assert.equal((await keysIn(this.#objects)).length, stored.size, 'objects')
    assert.equal((await this.#metadata.countWaiting()).objects, 0)
  }

  /** Without asking for it, which would keep it. */
  async #holds(name: RepositoryName, digest: Digest): Promise<boolean> {
    return (await this.#metadata.holdersOf(digest, 100)).some(({ repository }) => repository === name)
  }

  async #assertManifest(name: RepositoryName, digest: Digest): Promise<void> {
    assert.ok(await this.#holds(name, digest), `the manifest ${name}@${digest} is gone`)
  }

  async #assertBlob(name: RepositoryName, digest: Digest): Promise<void> {
    assert.ok(await this.#holds(name, digest), `the blob ${name}@${digest} is gone`)
    // A tag leads to it, or somebody has asked for it lately: a look changes nothing.
    const { stream } = await this.#blobs.repository(name).open(digest)
    assert.equal(digestOf(await buffer(stream)), digest)
    this.#promise(name, digest)
  }

  async #told(
    name: RepositoryName,
    digest: Digest,
    answer: Promise<unknown>,
    kind: 'blobs' | 'manifests',
  ): Promise<boolean> {
    const isTold = await isThere(answer)
    if (isTold) {
      assert.ok(this.model.of(name)[kind].has(digest), `${name}@${digest} was never put`)
      this.#promise(name, digest)
    }
    return isTold
  }

  #promise(name: RepositoryName, digest: Digest): void {
    this.model.of(name).promised.set(digest, this.#clock.time + keep.graceMs / 2)
  }
}

async function isThere(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}
