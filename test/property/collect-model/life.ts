import assert from 'node:assert/strict'
import { isDomainError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/log.ts'
import { RetentionTicker } from '../../../src/registry/retention/retention-ticker.ts'
import { configuredRetentionPolicySchema } from '../../../src/retention-policy.ts'
import { ObjectBlobStore } from '../../../src/storage/blobs/object-blob-store.ts'
import type { Digest } from '../../../src/storage/digest.ts'
import type { DeletedManifest } from '../../../src/storage/metadata/history-records.ts'
import { newObjectKey, parseObjectKey } from '../../../src/storage/objects/keys.ts'
import { parseTag, type RepositoryName, type Tag } from '../../../src/storage/reference.ts'
import { testSettings } from '../../support/blob-store.ts'
import { interceptMetadata } from '../../support/intercepted.ts'
import { targetsOf } from './model.ts'
import { dyingAt, keep, untilDeath, type World } from './world.ts'

/** What owners, rules and disks do, in both the registry and the model of a {@link World}. */
export class Life {
  readonly #world: World
  #tickers = 0

  constructor(world: World) {
    this.#world = world
  }

  /** @param nth one of what the tag named, by number. */
  async restoreTag(name: RepositoryName, tag: Tag, nth: number): Promise<void> {
    const { model, parts } = this.#world
    const { named, torn } = model.of(name)
    const digests = [...(named.get(tag) ?? [])]
    const digest = digests[nth % Math.max(digests.length, 1)]
    if (digest === undefined) return
    const state = await this.#world.holds(name, digest)
    const along = await this.#comingAlong(name, digest)
    const code = await codeOf(parts.metadata.restoreTag(name, tag, digest))
    if (state === 'absent') assert.equal(code, 'not_found')
    else if (torn.size === 0 || state === 'there') assert.equal(code, 'ok', `${name}:${tag} to ${digest}`)
    if (code !== 'ok') return assert.ok(['not_found', 'missing_reference'].includes(code), code)
    await this.#cameBack(name, digest, along)
    // To set it to what it names is to leave it alone.
    if (model.of(name).tags.get(tag) !== digest) this.#world.point(name, tag, digest)
  }

  async restoreManifest(name: RepositoryName, nth: number): Promise<void> {
    const found = await this.#deleted(name, nth)
    if (found === undefined) return
    const along = await this.#comingAlong(name, found.digest)
    const code = await codeOf(this.#world.parts.metadata.restoreManifest(name, found.digest))
    assert.equal(code, found.isRestorable ? 'ok' : 'missing_reference')
    if (code === 'ok') await this.#cameBack(name, found.digest, along)
  }

  async purgeManifest(name: RepositoryName, nth: number): Promise<void> {
    const { model, parts } = this.#world
    const found = await this.#deleted(name, nth)
    if (found === undefined) return
    const code = await codeOf(parts.metadata.purgeManifest(name, found.digest))
    if (code !== 'ok') return assert.equal(code, 'conflict')
    const { buried, promised, blobs, deleted } = model.of(name)
    for (const digest of buried.keys())
      if ((await this.#world.holds(name, digest)) !== 'deleted') buried.delete(digest)
    // At once, whoever was promised that they stay.
    for (const digest of blobs) promised.delete(digest)
    if (deleted !== undefined) deleted.isWhole = false
  }

  async deleteRepository(name: RepositoryName): Promise<void> {
    const { model, parts } = this.#world
    await this.#sync(name)
    const code = await codeOf(parts.metadata.deleteRepository(name))
    const { tags, manifests, promised } = model.of(name)
    if (tags.size > 0) assert.equal(code, 'ok')
    if (code !== 'ok') return assert.equal(code, 'not_found')
    const goesAt = parts.clock.time + keep.undeleteMs
    const before = new Map(tags)
    for (const digest of [...manifests.keys()]) model.bury(name, digest, goesAt)
    promised.clear()
    model.of(name).deleted = { tags: before, goesAt, isWhole: true }
    assert.ok(!(await parts.metadata.hasRepository(name)))
  }

  async restoreRepository(name: RepositoryName): Promise<void> {
    const { model, parts } = this.#world
    const { deleted, torn, buried } = model.of(name)
    const were = [...buried.keys()]
    const code = await codeOf(parts.metadata.restoreRepository(name))
    const isWhole = deleted?.isWhole === true && torn.size === 0 && deleted.goesAt > parts.clock.time
    if (isWhole) assert.equal(code, 'ok')
    if (code !== 'ok') return assert.ok(['not_found', 'conflict'].includes(code), code)
    assert.ok(deleted !== undefined, `${name} was not deleted`)
    model.of(name).deleted = undefined
    await this.#sync(name)
    for (const { name: tag, digest } of await this.#tagsOf(name)) {
      assert.equal(deleted.tags.get(tag), digest)
      this.#world.point(name, tag, digest)
    }
    if (isWhole) assert.deepEqual(new Map(model.of(name).tags), deleted.tags)
    for (const digest of were)
      if (model.of(name).manifests.has(digest))
        model.promise(name, digest, parts.clock.time + keep.undeleteMs)
  }

  async purgeRepository(name: RepositoryName): Promise<void> {
    const { model, parts } = this.#world
    const code = await codeOf(parts.metadata.purgeRepository(name))
    if (code !== 'ok') return assert.ok(['not_found', 'conflict'].includes(code), code)
    assert.ok(model.of(name).deleted !== undefined, `${name} was not deleted`)
    model.repositories.delete(name)
  }

  async rename(from: RepositoryName, to: RepositoryName): Promise<void> {
    const { model, parts } = this.#world
    if (from === to) return
    const code = await codeOf(parts.metadata.renameRepository({ from, to }))
    if (code !== 'ok') return assert.ok(['not_found', 'already_exists'].includes(code), code)
    // What is kept of the one that was there before is not taken over.
    assert.equal(model.of(to).tags.size, 0)
    model.rename(from, to)
    assert.ok(!(await parts.metadata.hasRepository(from)))
  }

  async expire(name: RepositoryName, tag: Tag, at: number): Promise<void> {
    const { model, parts } = this.#world
    const { metadata, clock } = parts
    const code = await codeOf(metadata.setTagExpiry(name, tag, new Date(at)))
    assert.equal(code, model.of(name).tags.has(tag) ? 'ok' : 'not_found')
    if (code === 'ok') model.of(name).expiries.set(tag, at)
    // It is of what was pushed at one time: the same pushed again in the same millisecond would have it, too.
    clock.time += 1
  }

  /** Rules and times: of tags `v…` the newest stays, and what has no tag goes. */
  async retain(dieAt = Number.POSITIVE_INFINITY): Promise<void> {
    const { model, parts } = this.#world
    const { objects, clock, run } = parts
    const metadata = interceptMetadata(parts.metadata, dyingAt(dieAt))
    if (model.repositories.size === 0) return
    const policy = configuredRetentionPolicySchema.parse({
      name: 'newest',
      repositories: [...model.repositories.keys()],
      rules: [{ tags: ['v*'], keepNewest: 1 }],
      untaggedAfter: '1m',
    })
    this.#tickers += 1
    const now = () => clock.time
    const ticker = new RetentionTicker({
      records: metadata,
      blobs: new ObjectBlobStore({ objects, metadata, settings: testSettings, now }),
      log: createLogger({ level: 'silent' }),
      source: { configured: [{ name: policy.name, policy }], isExempt: name => !name.startsWith(run) },
      audit: async () => {},
      holder: `ticker ${this.#tickers}`,
      settings: { schedule: undefined, window: undefined, readsLabels: false, tickMs: 1000 },
      now,
    })
    const before = new Map([...model.repositories].map(([name, { tags }]) => [name, new Map(tags)]))
    await untilDeath(ticker.tick({ runs: true }))
    for (const [name, tags] of before) {
      const left = new Set((await this.#tagsOf(name)).map(({ name }) => name))
      const gone = [...tags].filter(([tag]) => !left.has(tag))
      for (const [tag, digest] of gone) {
        const { tags, expiries } = model.of(name)
        const isDue = (expiries.get(tag) ?? Number.POSITIVE_INFINITY) <= clock.time
        if (!isDue)
          assert.ok(
            tag.startsWith('v') && [...left].some(other => other.startsWith('v')),
            `${name}:${tag} went by itself`,
          )
        tags.delete(tag)
        this.#world.lose(name, digest)
      }
      for (const [tag] of gone) model.of(name).expiries.delete(tag)
    }
  }

  async pull(name: RepositoryName, digest: Digest): Promise<void> {
    const { metadata, clock } = this.#world.parts
    await metadata.notePulled([{ repository: name, digest, at: new Date(clock.time) }])
  }

  /** The object of a blob is lost, or has other bytes, and a scrub finds that. */
  async rot(digest: Digest, isLost: boolean): Promise<void> {
    const { model, parts } = this.#world
    const [blob] = await parts.rows(`select object_key, size, state from blobs where digest = '${digest}'`)
    if (blob === undefined || blob['state'] === 'quarantined') return
    const objectKey = parseObjectKey(String(blob['object_key']))
    if (isLost) await parts.objects.delete([objectKey])
    else await parts.objects.put(objectKey, Buffer.alloc(Number(blob['size']), 'x'))
    const fault = { digest, objectKey, kind: isLost ? 'missing' : 'corrupt', detail: 'rotten' } as const
    assert.ok(await parts.metadata.quarantineBlob(fault))
    model.quarantined.add(digest)
  }

  /** A stray object has its bytes. */
  async heal(digest: Digest, bytes: Buffer): Promise<void> {
    const { model, parts } = this.#world
    if (!model.quarantined.has(digest)) return
    const object = { key: newObjectKey(), size: bytes.length }
    await parts.objects.put(object.key, bytes)
    await parts.metadata.noteStrays([object])
    await parts.metadata.noteStrayDigest(object.key, digest)
    if (!(await parts.metadata.healBlob(digest, object))) await this.discardStrays()
    model.quarantined.delete(digest)
  }

  async discardStrays(): Promise<void> {
    const { metadata, clock } = this.#world.parts
    await metadata.discardStrays(new Date(clock.time + 1), 1000)
  }

  /** Deleted manifests of a deleted index. */
  async #comingAlong(name: RepositoryName, digest: Digest): Promise<Digest[]> {
    const { model, parts } = this.#world
    const named = await parts.rows(
      `select digest from deleted_references where repository = '${name}' and manifest = '${digest}'`,
    )
    const children = targetsOf(model.contents.get(digest) ?? assert.fail(), 'child')
    return children.filter(child => named.some(row => row['digest'] === child))
  }

  /** Something is there, and what came back with it. */
  async #cameBack(name: RepositoryName, digest: Digest, along: readonly Digest[]): Promise<void> {
    const { model, parts } = this.#world
    model.of(name).deleted = undefined
    await this.#sync(name)
    for (const each of [digest, ...along])
      assert.equal(await this.#world.holds(name, each), 'there', `${each} has not come back`)
    model.promise(name, digest, parts.clock.time + keep.undeleteMs)
  }

  /** What is there by now, as far as the model does not say whether it must be. */
  async #sync(name: RepositoryName): Promise<void> {
    const { model } = this.#world
    const { manifests, buried } = model.of(name)
    for (const [digest, manifest] of model.contents) {
      const state = await this.#world.holds(name, digest)
      if (state === 'there') manifests.set(digest, manifest)
      else manifests.delete(digest)
      if (state !== 'deleted') buried.delete(digest)
    }
  }

  async #deleted(name: RepositoryName, nth: number): Promise<DeletedManifest | undefined> {
    const deleted = await this.#world.parts.metadata.listDeletedManifests(name, { limit: 100 })
    return deleted[nth % Math.max(deleted.length, 1)]
  }

  async #tagsOf(name: RepositoryName): Promise<{ readonly name: Tag; readonly digest: Digest }[]> {
    const facts = await this.#world.parts.metadata.listTagFacts(name, undefined, 100)
    return facts.map(({ tag, digest }) => ({ name: parseTag(tag), digest }))
  }
}

/** `ok`, or the code of the error. */
async function codeOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return 'ok'
  } catch (error) {
    if (isDomainError(error)) return error.code
    throw error
  }
}
