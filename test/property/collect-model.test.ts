import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { FilesystemObjectStore } from '../../src/storage/objects/filesystem.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import type { ObjectStore } from '../../src/storage/objects/object-store.ts'
import { parseRepositoryName, parseTag } from '../../src/storage/reference.ts'
import type { OpenedMetadata } from '../contract/metadata.ts'
import { openPostgresTwice, openSqliteTwice } from '../support/open-metadata.ts'
import { type PostgresTestServer, startPostgres } from '../support/postgres.ts'
import { skipWithout } from '../support/programs.ts'
import { imageManifest, indexOf } from '../support/records.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type Clock, keep, policy, World } from './collect-model/world.ts'

/** Repositories, blobs and tags that the steps choose from. */
const repositoryNames = ['one/a', 'one/b', 'two/a'] as const
const place = fc.integer({ min: 0, max: repositoryNames.length - 1 })
const texts = ['p', 'q', 'r', 's'] as const
const text = fc.constantFrom(...texts)
const tag = fc.constantFrom('latest', 'v1', 'v2')
const maybeTag = fc.option(tag, { nil: undefined })
/** One of the manifests that there have been, by number. */
const nth = fc.nat(30)

const step = fc.oneof(
  fc.record({
    kind: fc.constant('image' as const),
    at: place,
    blobs: fc.array(text, { minLength: 1, maxLength: 3 }),
    tag: maybeTag,
  }),
  fc.record({
    kind: fc.constant('index' as const),
    at: place,
    children: fc.array(nth, { minLength: 1, maxLength: 3 }),
    tag: maybeTag,
    isSparse: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('referrer' as const), at: place, subject: nth, tag: maybeTag }),
  fc.record({ kind: fc.constant('retag' as const), at: place, manifest: nth, tag }),
  fc.record({ kind: fc.constant('untag' as const), at: place, tag }),
  fc.record({ kind: fc.constant('deleteManifest' as const), at: place, manifest: nth }),
  fc.record({ kind: fc.constant('deleteBlob' as const), at: place, text }),
  fc.record({ kind: fc.constant('mount' as const), at: place, from: place, text }),
  fc.record({ kind: fc.constant('head' as const), at: place, text }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 4 * keep.graceMs }) }),
  fc.record({
    kind: fc.constant('collect' as const),
    dieAt: fc.option(fc.integer({ min: 1, max: 15 }), { nil: undefined }),
  }),
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** After these something may be gone. */
const removing: ReadonlySet<Step['kind']> = new Set(['collect', 'deleteBlob', 'deleteManifest', 'untag'])

/** What clients do, in words of the {@link World}. Contents differ from run to run, so that runs share nothing. */
class Script {
  readonly #world: World
  readonly #clock: Clock
  readonly #run = randomUUID()

  constructor(world: World, clock: Clock) {
    this.#world = world
    this.#clock = clock
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
    }
  }

  /** Everybody goes away, for as long as anything may be kept without a tag, step by step. */
  async settle(): Promise<void> {
    for (let round = 0; round < 16; round++) {
      this.#clock.time += policy.untaggedMs
      await this.#world.collect()
    }
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

function property(
  name: string,
  runs: number,
  open: (now: () => number) => Promise<OpenedMetadata>,
  store: () => Promise<ObjectStore & AsyncDisposable>,
): void {
  describe(`Content on ${name}`, () => {
    const clock: Clock = { time: Date.UTC(2026, 0, 1) }
    let opened: OpenedMetadata
    before(async () => {
      opened = await open(() => clock.time)
    })
    after(() => opened.close())

    it('stays while a tag leads to it or it was promised, and goes when neither is so', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), async steps => {
          await using objects = await store()
          const world = new World(opened.metadata, objects, clock)
          const script = new Script(world, clock)
          for (const each of steps) {
            await script.do(each)
            if (removing.has(each.kind)) await world.check()
          }
          await script.settle()
          await world.check()
          await world.checkSettled()
        }),
        { numRuns: runs, endOnFailure: true },
      )
    })
  })
}

async function memory(): Promise<ObjectStore & AsyncDisposable> {
  return Object.assign(new MemoryObjectStore(Date.now), { [Symbol.asyncDispose]: async () => {} })
}

async function filesystem(): Promise<ObjectStore & AsyncDisposable> {
  const directory = await temporaryDirectory()
  const store = await FilesystemObjectStore.open(directory.path)
  return Object.assign(store, { [Symbol.asyncDispose]: () => directory.remove() })
}

property('SQLite and memory', 60, now => openSqliteTwice(now, keep), memory)
property('SQLite and a directory', 15, now => openSqliteTwice(now, keep), filesystem)

describe('PostgreSQL', { skip: await skipWithout('postgres') }, () => {
  let server: PostgresTestServer
  before(async () => {
    server = await startPostgres()
  })
  after(() => server[Symbol.asyncDispose]())

  property('PostgreSQL and memory', 15, now => openPostgresTwice(server, now, keep), memory)
})
