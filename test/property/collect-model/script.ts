import fc from 'fast-check'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { imageManifest, indexOf } from '../../support/records.ts'
import { Life } from './life.ts'
import { type Clock, keep, type World } from './world.ts'

/** Repositories, blobs and tags that the steps choose from. */
const repositoryNames = ['one/a', 'one/b', 'two/a'] as const
const place = fc.integer({ min: 0, max: repositoryNames.length - 1 })
const texts = ['p', 'q', 'r', 's'] as const
const text = fc.constantFrom(...texts)
const tag = fc.constantFrom('latest', 'v1', 'v2')
const maybeTag = fc.option(tag, { nil: undefined })
/** Longer than anything stays that nothing names. */
const settleMs = 3000
/** One of the manifests that there have been, by number. */
const nth = fc.nat(30)

export const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('image' as const),
      at: place,
      blobs: fc.array(text, { minLength: 1, maxLength: 3 }),
      tag: maybeTag,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('index' as const),
      at: place,
      children: fc.array(nth, { minLength: 1, maxLength: 3 }),
      tag: maybeTag,
      isSparse: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('referrer' as const), at: place, subject: nth, tag: maybeTag }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('retag' as const), at: place, manifest: nth, tag }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('untag' as const), at: place, tag }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('deleteManifest' as const), at: place, manifest: nth }),
  },
  fc.record({ kind: fc.constant('deleteBlob' as const), at: place, text }),
  fc.record({ kind: fc.constant('mount' as const), at: place, from: place, text }),
  fc.record({ kind: fc.constant('head' as const), at: place, text }),
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 4 * keep.graceMs }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('collect' as const),
      dieAt: fc.option(fc.integer({ min: 1, max: 15 }), { nil: undefined }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('restoreTag' as const), at: place, tag, nth }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restoreManifest' as const), at: place, nth }) },
  fc.record({ kind: fc.constant('purgeManifest' as const), at: place, nth }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteRepository' as const), at: place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restoreRepository' as const), at: place }) },
  fc.record({ kind: fc.constant('purgeRepository' as const), at: place }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rename' as const), at: place, to: place }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('expire' as const),
      at: place,
      tag,
      ms: fc.integer({ min: 1, max: 2 * keep.graceMs }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('retain' as const),
      dieAt: fc.option(fc.integer({ min: 1, max: 10 }), { nil: undefined }),
    }),
  },
  fc.record({ kind: fc.constant('pull' as const), at: place, manifest: nth }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rot' as const), text, isLost: fc.boolean() }) },
  fc.record({ kind: fc.constant('heal' as const), text }),
)
export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** After these something may be gone, or must have come back. */
export const removing: ReadonlySet<Step['kind']> = new Set([
  ...(['collect', 'deleteBlob', 'deleteManifest', 'untag', 'retain', 'rot', 'heal', 'rename'] as const),
  ...(['restoreTag', 'restoreManifest', 'purgeManifest'] as const),
  ...(['deleteRepository', 'restoreRepository', 'purgeRepository'] as const),
])

/** What clients do, in words of the {@link World}. Contents differ from run to run, so that runs share nothing. */
export class Script {
  readonly #world: World
  readonly #life: Life
  readonly #clock: Clock
  readonly #run: string

  constructor(world: World) {
    this.#world = world
    this.#life = new Life(world)
    this.#clock = world.parts.clock
    this.#run = world.parts.run
  }

  async do(step: Step): Promise<void> {
    const world = this.#world
    switch (step.kind) {
      case 'image': {
        const blobs: Digest[] = []
        for (const each of step.blobs)
          blobs.push(await world.pushBlob(this.#name(step.at), this.#bytes(each)))
        const [config, ...layers] = blobs
        if (config === undefined) return
        return world.putManifest(this.#name(step.at), imageManifest({ config, layers }), this.#tag(step.tag))
      }
      case 'index': {
        const children: Digest[] = []
        for (const child of step.children) {
          const digest = this.#manifest(step.at, child)
          if (
            digest !== undefined &&
            (step.isSparse || (await world.headManifest(this.#name(step.at), digest)))
          )
            children.push(digest)
        }
        if (children.length === 0) return
        const index = indexOf(children, step.isSparse ? 'none' : 'all')
        return world.putManifest(this.#name(step.at), index, this.#tag(step.tag))
      }
      case 'referrer': {
        const subject = this.#manifest(step.at, step.subject)
        if (subject === undefined) return
        const config = await world.pushBlob(this.#name(step.at), this.#bytes('signature'))
        return world.putManifest(this.#name(step.at), imageManifest({ config, subject }), this.#tag(step.tag))
      }
      case 'retag': {
        const digest = this.#manifest(step.at, step.manifest)
        if (digest === undefined || !(await world.headManifest(this.#name(step.at), digest))) return
        const manifest = world.model.of(this.#name(step.at)).manifests.get(digest)
        if (manifest === undefined) return
        const edges = manifest.edges.map(edge => ({ ...edge, required: false }))
        return world.putManifest(this.#name(step.at), { ...manifest, edges }, parseTag(step.tag))
      }
      case 'untag':
        return world.untag(this.#name(step.at), parseTag(step.tag))
      case 'deleteManifest': {
        const digest = this.#manifest(step.at, step.manifest)
        return digest === undefined ? undefined : world.deleteManifest(this.#name(step.at), digest)
      }
      case 'deleteBlob':
        return world.deleteBlob(this.#name(step.at), this.#digest(step.text))
      case 'mount':
        return world.mount(this.#name(step.at), this.#name(step.from), this.#digest(step.text))
      case 'head':
        await world.headBlob(this.#name(step.at), this.#digest(step.text))
        return
      case 'wait':
        this.#clock.time += step.ms
        return
      case 'collect':
        return world.collect(step.dieAt)
      case 'restoreTag':
        return this.#life.restoreTag(this.#name(step.at), parseTag(step.tag), step.nth)
      case 'restoreManifest':
        return this.#life.restoreManifest(this.#name(step.at), step.nth)
      case 'purgeManifest':
        return this.#life.purgeManifest(this.#name(step.at), step.nth)
      case 'deleteRepository':
        return this.#life.deleteRepository(this.#name(step.at))
      case 'restoreRepository':
        return this.#life.restoreRepository(this.#name(step.at))
      case 'purgeRepository':
        return this.#life.purgeRepository(this.#name(step.at))
      case 'rename':
        return this.#life.rename(this.#name(step.at), this.#name(step.to))
      case 'expire':
        return this.#life.expire(this.#name(step.at), parseTag(step.tag), this.#clock.time + step.ms)
      case 'retain':
        return this.#life.retain(step.dieAt)
      case 'pull': {
        const digest = this.#manifest(step.at, step.manifest)
        return digest === undefined ? undefined : this.#life.pull(this.#name(step.at), digest)
      }
      case 'rot':
        return this.#life.rot(this.#digest(step.text), step.isLost)
      case 'heal':
        return this.#life.heal(this.#digest(step.text), this.#bytes(step.text))
    }
  }

  /** Everybody goes away, for as long as anything may be kept without a tag, step by step. */
  async settle(): Promise<void> {
    for (let round = 0; round < 16; round++) {
      this.#clock.time += settleMs
      await this.#life.retain()
      await this.#life.discardStrays()
      await this.#world.collect()
    }
    const { metadata } = this.#world.parts
    await metadata.forgetTagHistory(new Date(this.#clock.time + 1), 100_000)
  }

  #name(at: number) {
    return parseRepositoryName(`${this.#run}-${repositoryNames[at] ?? ''}`)
  }

  #tag(text: string | undefined) {
    return text === undefined ? undefined : parseTag(text)
  }

  #bytes(text: string): Buffer {
    return Buffer.from(`${this.#run} ${text}`)
  }

  #digest(text: string): Digest {
    return digestOf(this.#bytes(text))
  }

  #manifest(at: number, index: number): Digest | undefined {
    const digests = [...this.#world.model.of(this.#name(at)).manifests.keys()]
    return digests[index % Math.max(digests.length, 1)]
  }
}
