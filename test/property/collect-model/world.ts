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
import { testSettings } from '../../support/blob-store.ts'
import { type Around, interceptMetadata, interceptObjects } from '../../support/intercepted.ts'
import { assertConsistent, assertNothingLeft, type Inspected } from './inspect.ts'
import { Model } from './model.ts'

export const keep: KeepTimes = { graceMs: 1000, objectDelayMs: 100, undeleteMs: 1500, keepDamagedMs: 5000 }
export const policy = { untaggedMs: 1200, referrers: 'delete' } as const

export interface Clock {
  time: number
}

export interface WorldParts {
  readonly metadata: Metadata
  readonly objects: ObjectStore
  readonly clock: Clock
  readonly rows: Inspected['rows']
  /** What the names of all its repositories begin with, and no others'. */
  readonly run: string
}

/** The registry's stores with the model beside them: every step is done in both, and what ought to be there is looked at. */
export class World {
  readonly model = new Model()
  readonly parts: WorldParts
  readonly #metadata: Metadata
  readonly #objects: ObjectStore
  readonly #blobs: ObjectBlobStore
  readonly #clock: Clock
  #collectors = 0

  constructor(parts: WorldParts) {
    const { metadata, objects, clock } = parts
    this.parts = parts
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
    this.model.quarantined.delete(digest)
    this.#isLinked(name, digest)
    return digest
  }

  async headBlob(name: RepositoryName, digest: Digest): Promise<boolean> {
    return this.#told(name, digest, this.#blobs.repository(name).stat(digest), 'blobs')
  }

  async mount(name: RepositoryName, from: RepositoryName, digest: Digest): Promise<void> {
    if (!(await isThere(this.#blobs.repository(name).link(digest, from)))) return
    assert.ok(!this.model.quarantined.has(digest), `${digest} is damaged`)
    this.#isLinked(name, digest)
  }

  async headManifest(name: RepositoryName, digest: Digest): Promise<boolean> {
    return this.#told(name, digest, this.#metadata.statManifest(name, parseReference(digest)), 'manifests')
  }

  /** All that it must have was promised to be there. */
  async putManifest(name: RepositoryName, manifest: NewManifest, tag: Tag | undefined): Promise<void> {
    const tags = tag === undefined ? [] : [tag]
    await this.#metadata.putManifest(name, { ...manifest, tags })
    const model = this.model.of(name)
    this.model.contents.set(manifest.digest, manifest)
    model.manifests.set(manifest.digest, manifest)
    model.buried.delete(manifest.digest)
    model.deleted = undefined
    if (tag !== undefined) this.point(name, tag, manifest.digest)
    this.#promise(name, manifest.digest)
  }

  /** What lost its tag can be taken back as long as what was deleted. */
  point(name: RepositoryName, tag: Tag, digest: Digest): void {
    this.lose(name, this.model.point(name, tag, digest))
  }

  lose(name: RepositoryName, digest: Digest | undefined): void {
    if (digest !== undefined) this.model.promise(name, digest, this.#clock.time + keep.undeleteMs)
  }

  async untag(name: RepositoryName, tag: Tag): Promise<void> {
    const isGone = await isThere(this.#metadata.deleteTag(name, parseTag(tag)))
    const { tags, expiries } = this.model.of(name)
    const named = tags.get(tag)
    assert.equal(isGone, tags.delete(tag))
    expiries.delete(tag)
    this.lose(name, named)
  }

  async deleteManifest(name: RepositoryName, digest: Digest): Promise<void> {
    if (!(await isThere(this.#metadata.deleteManifest(name, digest)))) return
    this.model.bury(name, digest, this.#clock.time + keep.undeleteMs)
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
    model.torn.add(digest)
  }

  /** @param dieAt after so many calls to the stores the process is dead: nothing more of it happens. */
  async collect(dieAt = Number.POSITIVE_INFINITY): Promise<void> {
    const mortal = dyingAt(dieAt)
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
    await untilDeath(collector.tick())
  }

  /** Nothing that a tag leads to, and nothing that was promised, is gone. What else is gone may have gone. */
  async check(): Promise<void> {
    const now = this.#clock.time
    for (const [name, model] of this.model.repositories) {
      const { promised, manifests, blobs, buried } = model
      const kept = this.model.keptManifests(name, now)
      const keptBlobs = this.model.keptBlobs(name, kept)
      const isPromised = (digest: Digest) => (promised.get(digest) ?? 0) > now
      for (const digest of manifests.keys()) {
        const isThere = (await this.holds(name, digest)) === 'there'
        if (kept.has(digest)) assert.ok(isThere, `the manifest ${name}@${digest} is gone`)
        if (!isThere) manifests.delete(digest)
      }
      for (const digest of blobs)
        if (keptBlobs.has(digest) || isPromised(digest)) await this.#assertBlob(name, digest)
        else if ((await this.holds(name, digest)) === 'absent') blobs.delete(digest)
      for (const [digest, goesAt] of buried) {
        const isBuried = (await this.holds(name, digest)) === 'deleted'
        if (goesAt > now) assert.ok(isBuried, `${name}@${digest} cannot be taken back`)
        if (!isBuried) buried.delete(digest)
      }
      const usage = await this.#metadata.getUsage(tenantOf(name))
      assert.deepEqual(await this.#metadata.recountUsage(tenantOf(name)), usage)
    }
    await assertConsistent(this.parts, this.model)
  }

  /** Nothing else is there, however it is looked for, when everybody has been away for long enough. */
  async checkSettled(): Promise<void> {
    const now = this.#clock.time
    for (const [name, { manifests, blobs, buried, tags }] of this.model.repositories) {
      const kept = this.model.keptManifests(name, now)
      const keptBlobs = this.model.keptBlobs(name, kept)
      for (const digest of [...manifests.keys(), ...buried.keys()])
        assert.equal(
          await this.holds(name, digest),
          kept.has(digest) ? 'there' : 'absent',
          `${name}@${digest}`,
        )
      for (const digest of blobs)
        assert.equal(
          await this.holds(name, digest),
          keptBlobs.has(digest) ? 'there' : 'absent',
          `${name}, blob ${digest}`,
        )
      assert.equal(await this.#metadata.hasRepository(name), tags.size > 0, name)
    }
    await assertNothingLeft(this.parts, this.model)
    assert.equal((await this.#metadata.countWaiting()).objects, 0)
  }

  /** Without asking for it, which would keep it. */
  async holds(name: RepositoryName, digest: Digest): Promise<'there' | 'deleted' | 'absent'> {
    const found = (await this.#metadata.holdersOf(digest, 100)).find(({ repository }) => repository === name)
    return found === undefined ? 'absent' : found.goesAt === null ? 'there' : 'deleted'
  }

  async #assertBlob(name: RepositoryName, digest: Digest): Promise<void> {
    assert.equal(await this.holds(name, digest), 'there', `the blob ${name}@${digest} is gone`)
    const isQuarantined = this.model.quarantined.has(digest)
    const opened = this.#blobs.repository(name).open(digest)
    if (isQuarantined) {
      assert.ok(!(await isThere(opened)), `${digest} is damaged`)
      return
    }
    // A tag leads to it, or somebody has asked for it lately: a look changes nothing.
    const { stream } = await opened
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
      assert.ok(!this.model.quarantined.has(digest), `${digest} is damaged`)
      this.#promise(name, digest)
    }
    return isTold
  }

  #isLinked(name: RepositoryName, digest: Digest): void {
    const model = this.model.of(name)
    model.blobs.add(digest)
    model.torn.delete(digest)
    model.deleted = undefined
    this.#promise(name, digest)
  }

  #promise(name: RepositoryName, digest: Digest): void {
    this.model.promise(name, digest, this.#clock.time + keep.graceMs / 2)
  }
}

/** Of a process that makes so many calls. */
export function dyingAt(lastCall: number): Around {
  let calls = 0
  return (_method, call) => {
    calls += 1
    if (calls > lastCall)
      throw new DomainError('unavailable', 'The process is dead.', { resource: 'request' })
    return call()
  }
}

export async function untilDeath(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isDomainError(error, 'unavailable')) throw error
  }
}

export async function isThere(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}
