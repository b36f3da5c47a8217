import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DomainError, type ErrorCode } from '../../../src/errors.ts'
import { type Digest, digestOf } from '../../../src/storage/digest.ts'
import { parseManifest } from '../../../src/storage/manifest.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { type MemoryContent, MemoryRegistry } from '../../support/memory-images.ts'
import { MirrorBench, mirrorJob } from '../../support/mirror-run.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const repositories = ['acme/web', 'acme/api', 'lib/base'] as const
const tagNames = ['v1', 'v2', 'v3', 'latest', 'next'] as const

/** What tags may name: images that share layers, an index of two of them, and what is signed and what is not. */
const graph = new ImageGraph()
const images: readonly StoredManifest[] = (() => {
  const [one, two, three] = ['one', 'two', 'three'].map(text => graph.image({ layers: ['base', text] }))
  if (one === undefined || two === undefined || three === undefined) throw new Error('three images')
  const index = graph.index([
    { child: one, platform: { os: 'linux', architecture: 'amd64' } },
    { child: two, platform: { os: 'linux', architecture: 'arm64' } },
  ])
  for (const subject of [one, index])
    graph.image({ layers: ['signature'], subject, artifactType: 'application/vnd.cncf.notary.signature' })
  return [one, two, three, index]
})()

const tagged = fc.dictionary(
  fc.constantFrom(...repositories),
  fc.dictionary(fc.constantFrom(...tagNames), fc.nat(images.length - 1), { noNullPrototype: true }),
  { noNullPrototype: true },
)
type Tagged = Readonly<Record<string, Readonly<Record<string, number>>>>

const faultCodes = ['unavailable', 'throttled', 'denied', 'not_found', 'invalid', 'busy'] as const

function fill(registry: MemoryRegistry, state: Tagged): void {
  for (const [name, tags] of Object.entries(state)) {
    const content = registry.at(name)
    content.take(graph)
    for (const [tag, number] of Object.entries(tags)) {
      const image = images[number]
      if (image !== undefined) content.tag(tag, image)
    }
  }
}

/** A target that has what its tags name, and nothing more. */
function fillTarget(registry: MemoryRegistry, state: Tagged): void {
  for (const [name, tags] of Object.entries(state)) {
    const content = registry.at(name)
    for (const [tag, number] of Object.entries(tags)) {
      const image = images[number]
      if (image === undefined) continue
      for (const digest of closure(image.digest)) {
        const manifest = graph.manifests.get(digest)
        const bytes = graph.blobs.get(digest)
        if (manifest !== undefined) content.manifests.set(digest, manifest)
        if (bytes !== undefined) content.blobs.set(digest, bytes)
      }
      content.tag(tag, image)
    }
  }
}

/** The manifest and all that it names. */
function closure(digest: Digest): Digest[] {
  const stored = graph.manifests.get(digest)
  if (stored === undefined) return [digest]
  const manifest = parseManifest(stored.bytes, stored.mediaType)
  const names = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers]
  return [digest, ...names.flatMap(one => closure(one.digest))]
}

function isWhole(content: MemoryContent): void {
  for (const [digest, bytes] of content.blobs) assert.equal(digestOf(bytes), digest)
  for (const [tag, root] of content.tags)
    for (const digest of closure(root))
      assert.ok(content.manifests.has(digest) || content.blobs.has(digest), `${tag} lacks ${digest}`)
}

/** Whether what signs the images of tags that were copied is there as well. */
function isSignedToo(source: MemoryContent, target: MemoryContent, include: readonly string[]): void {
  const named = new Set(
    source.tags.entries().flatMap(([tag, root]) => {
      const isMeant = include.length === 0 || tag.startsWith('v')
      return isMeant && target.tags.get(tag) === root ? closure(root) : []
    }),
  )
  for (const { digest, bytes, mediaType } of graph.manifests.values()) {
    const subject = parseManifest(bytes, mediaType).subject?.digest
    if (subject !== undefined && named.has(subject))
      assert.ok(target.manifests.has(digest), `${subject} is not signed any more`)
  }
}

function tagsOf(registry: MemoryRegistry): Record<string, Record<string, Digest>> {
  return Object.fromEntries(
    registry.content
      .entries()
      .filter(([, { tags }]) => tags.size > 0)
      .map(([name, { tags }]) => [name, Object.fromEntries(tags)]),
  )
}

interface Plan {
  readonly before: Tagged
  readonly there: Tagged
  readonly overwrite: 'replace' | 'keep' | 'fail'
  readonly prune: 'off' | 'report' | 'delete'
  readonly include: readonly string[]
  readonly faultsIn100: number
  readonly moves: number
  readonly seed: number
}

const plans: fc.Arbitrary<Plan> = fc.record({
  before: tagged,
  there: tagged,
  overwrite: fc.constantFrom('replace', 'replace', 'keep', 'fail'),
  prune: fc.constantFrom('off', 'report', 'delete'),
  include: fc.constantFrom([], ['v.*']),
  faultsIn100: fc.constantFrom(0, 2, 10, 30),
  moves: fc.nat(3),
  seed: fc.nat(),
})

/** What the target has to have once nothing is in the way of the job any more. */
function expected(source: MemoryRegistry, there: MemoryRegistry, plan: Plan) {
  const result = tagsOf(there)
  const means = (tag: string): boolean => plan.include.length === 0 || tag.startsWith('v')
  for (const [name, { tags }] of source.content) {
    const own = result[name] ?? {}
    result[name] = own
    const meant = [...tags].filter(([tag]) => means(tag))
    const surplus = Object.keys(own).filter(tag => means(tag) && !tags.has(tag))
    for (const [tag, digest] of meant)
      if (own[tag] === undefined || plan.overwrite === 'replace') own[tag] = digest
    if (plan.prune === 'delete' && meant.length > 0) for (const tag of surplus) delete own[tag]
    if (Object.keys(own).length === 0) delete result[name]
  }
  return result
}

describe('runs of a mirror job against any state, with any faults', () => {
  it('never leave half an image, and end where the job says, and then ask one HEAD for each tag', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async plan => {
        const source = new MemoryRegistry('upstream.example')
        const target = new MemoryRegistry('varve')
        fill(source, plan.before)
        fillTarget(target, plan.there)
        const bench = new MirrorBench(source, target)
        const job = mirrorJob({
          repositories: ['**'],
          overwrite: plan.overwrite,
          tags: { include: plan.include },
          prune: { mode: plan.prune, maxPercent: 100 },
        })
        const random = seededRandom(plan.seed)
        const everNamed = new Map<string, Set<Digest>>()
        const remember = (registry: MemoryRegistry): void => {
          for (const [name, { tags }] of registry.content)
            for (const [tag, digest] of tags) {
              const key = `${name}:${tag}`
              everNamed.set(key, (everNamed.get(key) ?? new Set()).add(digest))
            }
        }
        remember(source)
        remember(target)

        let moves = plan.moves
        const disturb = ({ what }: { readonly what: string }): void => {
          if (moves > 0 && random() < 0.1) {
            moves -= 1
            const content = source.content.values().toArray()[0]
            const tag = tagNames[Math.floor(random() * tagNames.length)] ?? 'v1'
            const image = images[Math.floor(random() * images.length)]
            if (content !== undefined && image !== undefined) content.tag(tag, image)
            remember(source)
          }
          if (random() * 100 >= plan.faultsIn100) return
          const code: ErrorCode = faultCodes[Math.floor(random() * faultCodes.length)] ?? 'unavailable'
          // What a source denies to have it does not have: its indexes may lack children.
          if (code === 'not_found' && ['head', 'get', 'delete', 'referrers'].includes(what)) return
          throw new DomainError(code, `No ${what} now.`, { resource: 'registry' })
        }
        source.onRequest = disturb
        target.onRequest = disturb
        const disturbed = await bench.run(job)
        assert.notEqual(disturbed.outcome, 'stopped')
        for (const [name, content] of target.content) {
          isWhole(content)
          for (const [tag, digest] of content.tags)
            assert.ok(everNamed.get(`${name}:${tag}`)?.has(digest), `${name}:${tag} names ${digest}`)
        }

        source.onRequest = () => {}
        target.onRequest = () => {}
        const goal = expected(source, target, plan)
        await bench.run(job)
        assert.deepEqual(tagsOf(target), goal)
        for (const [name, content] of target.content) {
          isWhole(content)
          isSignedToo(source.at(name), content, plan.include)
        }

        source.takeCounts()
        await bench.run(job)
        const meant = source.content
          .values()
          .flatMap(({ tags }) => tags.keys())
          .filter(tag => plan.include.length === 0 || tag.startsWith('v'))
          .toArray().length
        const counts = source.takeCounts()
        assert.equal(counts.head ?? 0, meant)
        assert.deepEqual(
          Object.keys(counts).filter(what => !['head', 'tags', 'catalog'].includes(what)),
          [],
        )
      }),
      { numRuns: 150 },
    )
  })
})
