import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { isDomainError } from '../../src/errors.ts'
import { tenantOf } from '../../src/storage/accounts/names.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import type { KeepTimes } from '../../src/storage/metadata/keep-times.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import { parseRepositoryName, parseTag, type RepositoryName } from '../../src/storage/reference.ts'
import type { OpenedMetadata } from '../contract/metadata.ts'
import { openSqliteTwice } from '../support/open-metadata.ts'
import { commitText, imageManifest, indexOf } from '../support/records.ts'
import { Model, targetsOf } from './undelete-model/model.ts'

const keep: KeepTimes = { graceMs: 1000, objectDelayMs: 100, undeleteMs: 3000, keepDamagedMs: 1000 }
/** Nothing that is there goes by itself, so that the model knows what is there. */
const policy = { untaggedMs: undefined, referrers: 'keep' } as const

const text = fc.constantFrom('p', 'q', 'r', 's')
const tag = fc.constantFrom('latest', 'v1')
const maybeTag = fc.option(tag, { nil: undefined })
/** One of the manifests that there are, or were, by number. */
const nth = fc.nat(9)
const step = fc.oneof(
  fc.record({
    kind: fc.constant('image' as const),
    texts: fc.array(text, { minLength: 1, maxLength: 3 }),
    tag: maybeTag,
  }),
  fc.record({
    kind: fc.constant('index' as const),
    children: fc.array(nth, { minLength: 1, maxLength: 3 }),
    tag: maybeTag,
  }),
  fc.record({ kind: fc.constant('referrer' as const), subject: nth, tag: maybeTag }),
  fc.record({ kind: fc.constant('retag' as const), nth, tag }),
  fc.record({ kind: fc.constant('untag' as const), tag }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), nth }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restoreTag' as const), tag, ago: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore' as const), nth }) },
  fc.record({ kind: fc.constant('purge' as const), nth }),
  fc.record({ kind: fc.constant('deleteBlob' as const), text }),
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 700, 1500, 3000) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

class World {
  readonly #metadata: Metadata
  readonly #clock: { time: number }
  readonly #model = new Model()
  readonly #run = randomUUID()
  readonly #repository: RepositoryName = parseRepositoryName(`t${this.#run}/a`)
  /** All that there ever were, so that each is found again by its number. */
  readonly #known = new Map<Digest, NewManifest>()

  constructor(metadata: Metadata, clock: { time: number }) {
    this.#metadata = metadata
    this.#clock = clock
  }

  async do(step: Step): Promise<void> {
    const [metadata, repository, model] = [this.#metadata, this.#repository, this.#model]
    switch (step.kind) {
      case 'image': {
        const [config, ...layers] = await this.#blobs(step.texts)
        return this.#put(imageManifest({ ...(config && { config }), layers }), step.tag)
      }
      case 'index': {
        const children = step.children.flatMap(child => this.#nth(child, model.live) ?? [])
        if (children.length === 0) return
        return this.#put(indexOf(children, 'all'), step.tag)
      }
      case 'referrer': {
        const subject = this.#nth(step.subject, this.#known)
        const [config] = await this.#blobs(['signature'])
        if (subject === undefined || config === undefined) return
        return this.#put(imageManifest({ config, subject }), step.tag)
      }
      case 'retag': {
        const digest = this.#nth(step.nth, this.#known)
        const manifest = digest && this.#known.get(digest)
        if (manifest === undefined) return
        // Whatever it needs may be gone.
        const code = await codeOf(
          metadata.putManifest(repository, { ...manifest, tags: [parseTag(step.tag)] }),
        )
        if (code === 'ok') model.put(manifest, step.tag)
        return
      }
      case 'untag': {
        const code = await codeOf(metadata.deleteTag(repository, parseTag(step.tag)))
        assert.equal(code, model.tags.has(step.tag) ? 'ok' : 'not_found')
        if (code === 'ok') model.untag(step.tag)
        return
      }
      case 'delete': {
        const digest = this.#nth(step.nth, this.#known)
        if (digest === undefined) return
        const has = await this.#linked()
        const code = await codeOf(metadata.deleteManifest(repository, digest))
        assert.equal(code, model.live.has(digest) ? 'ok' : 'not_found')
        return model.bury(digest, this.#clock.time, keep.undeleteMs, has)
      }
      case 'restoreTag':
        return this.#restoreTag(step.tag, step.ago)
      case 'restore': {
        const digest = this.#nth(step.nth, this.#known)
        if (digest === undefined) return
        const expected = await this.#outcomeOf(digest)
        assert.equal(await codeOf(metadata.restoreManifest(repository, digest)), expected)
        if (expected === 'ok') model.restore(digest)
        return
      }
      case 'purge': {
        const digest = this.#nth(step.nth, this.#known)
        if (digest === undefined) return
        const expected = model.isPartOfBuried(digest)
          ? 'conflict'
          : model.buried.has(digest)
            ? 'ok'
            : 'not_found'
        assert.equal(await codeOf(metadata.purgeManifest(repository, digest)), expected)
        if (expected === 'ok') model.purge(digest)
        return
      }
      case 'deleteBlob': {
        const digest = digestOf(Buffer.from(this.#text(step.text)))
        const isNamed = model.live.values().some(manifest => targetsOf(manifest).includes(digest))
        const isLinked = (await this.#linked())(digest)
        const code = await codeOf(metadata.unlinkBlob(repository, digest))
        return assert.equal(code, isNamed ? 'conflict' : isLinked ? 'ok' : 'not_found')
      }
      case 'wait':
        this.#clock.time += step.ms
        return
      case 'tick':
        return this.tick()
    }
  }

  async tick(): Promise<void> {
    while ((await this.#metadata.forgetDeletedManifests(2)) > 0);
    while ((await this.#metadata.reviewManifests(policy, 4)).seen === 4);
    while ((await this.#metadata.reviewLinks(4)).seen === 4);
    while ((await this.#metadata.reviewRepositories(4)).seen === 4);
    this.#model.forget(this.#clock.time)
  }

  /** All is there that ought to be, and counted; and what can be taken back is whole. */
  async check(): Promise<void> {
    const [metadata, repository, model] = [this.#metadata, this.#repository, this.#model]
    const has = await this.#linked()
    for (const manifest of model.live.values())
      for (const { role, required, descriptor } of manifest.edges)
        if (required && role !== 'child') assert.ok(has(descriptor.digest), `${manifest.digest} is torn`)
    for (const digest of this.#known.keys()) {
      const holdings = await metadata.holdersOf(digest, 9)
      const isLive = holdings.some(({ kind, goesAt }) => kind === 'manifest' && goesAt === null)
      assert.equal(isLive, model.live.has(digest), digest)
    }
    const deleted = await metadata.listDeletedManifests(repository, { limit: 100 })
    assert.deepEqual(
      new Map(deleted.map(({ digest, goesAt, isRestorable }) => [digest, [goesAt.getTime(), isRestorable]])),
      new Map(
        [...model.buried].map(([digest, { goesAt }]) => [digest, [goesAt, model.isWhole(digest, has)]]),
      ),
    )
    for (const [name, changes] of model.history) {
      const found = await metadata.listTagHistory(repository, parseTag(name), { limit: 1000 })
      assert.deepEqual(
        found.map(({ digest, previous }) => ({ digest, previous })),
        changes,
      )
      for (const { digest, previous, isRestorable } of found) {
        const target = digest ?? previous ?? assert.fail()
        const expected = model.live.has(target) || (model.buried.has(target) && model.isWhole(target, has))
        assert.equal(isRestorable, expected, `${name} ${target}`)
      }
    }
    const used = await metadata.getUsage(tenantOf(repository))
    assert.deepEqual(await metadata.recountUsage(tenantOf(repository)), used)
  }

  /** Everything is deleted, and everybody has gone away for long enough: nothing is left. */
  async end(): Promise<void> {
    for (const digest of [...this.#model.live.keys()])
      await this.#metadata.deleteManifest(this.#repository, digest)
    for (let round = 0; round < 6; round++) {
      this.#clock.time += keep.undeleteMs
      await this.tick()
    }
    assert.equal(await this.#metadata.hasRepository(this.#repository), false)
    const used = await this.#metadata.recountUsage(tenantOf(this.#repository))
    assert.deepEqual(used, { bytes: 0, uploadingBytes: 0, repositories: 0 })
  }

  async #restoreTag(name: string, ago: number): Promise<void> {
    const [metadata, repository, model] = [this.#metadata, this.#repository, this.#model]
    const changes = model.history.get(name) ?? []
    // 0: what it named before its last change, without being asked for a digest.
    const digest = changes[ago === 0 ? 0 : ago - 1]?.[ago === 0 ? 'previous' : 'digest'] ?? undefined
    if (ago > 0 && digest === undefined) return
    const expected =
      digest === undefined
        ? 'not_found'
        : model.tags.get(name) === digest
          ? 'ok'
          : await this.#outcomeOf(digest)
    const wanted = ago === 0 ? undefined : digest
    assert.equal(await codeOf(metadata.restoreTag(repository, parseTag(name), wanted)), expected)
    if (expected !== 'ok' || digest === undefined) return
    model.restore(digest)
    model.point(name, digest)
  }

  async #outcomeOf(digest: Digest): Promise<string> {
    if (this.#model.live.has(digest)) return 'ok'
    if (!this.#model.buried.has(digest)) return 'not_found'
    return this.#model.isWhole(digest, await this.#linked()) ? 'ok' : 'missing_reference'
  }

  async #put(manifest: NewManifest, name: string | undefined): Promise<void> {
    const tags = name === undefined ? [] : [parseTag(name)]
    await this.#metadata.putManifest(this.#repository, { ...manifest, tags })
    this.#known.set(manifest.digest, manifest)
    this.#model.put(manifest, name)
  }

  async #blobs(texts: readonly string[]): Promise<Digest[]> {
    const digests: Digest[] = []
    for (const one of texts) {
      const { digest } = await commitText(this.#metadata, this.#repository, this.#text(one), this.#clock.time)
      digests.push(digest)
    }
    return digests
  }

  /** Which blobs the repository has, without asking for them, which would keep them. */
  async #linked(): Promise<(blob: Digest) => boolean> {
    const linked = new Set<Digest>()
    for (const one of ['p', 'q', 'r', 's', 'signature']) {
      const digest = digestOf(Buffer.from(this.#text(one)))
      if ((await this.#metadata.holdersOf(digest, 9)).some(({ kind }) => kind === 'blob')) linked.add(digest)
    }
    return blob => linked.has(blob)
  }

  #text(one: string): string {
    return `${this.#run} ${one}`
  }

  #nth(index: number, among: ReadonlyMap<Digest, unknown>): Digest | undefined {
    return [...among.keys()][index % Math.max(among.size, 1)]
  }
}

describe('What was deleted', () => {
  const clock = { time: Date.UTC(2026, 0, 1) }
  let opened: OpenedMetadata
  before(async () => {
    opened = await openSqliteTwice(() => clock.time, keep)
  })
  after(() => opened.close())

  it('comes back whole as long as it can be taken back, counts until then, and goes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }), async steps => {
        const world = new World(opened.metadata, clock)
        for (const each of steps) {
          await world.do(each)
          await world.check()
        }
        await world.end()
      }),
      { numRuns: 80, endOnFailure: true },
    )
  })
})

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
