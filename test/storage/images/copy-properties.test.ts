import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { DomainError, isDomainError } from '../../../src/errors.ts'
import { algorithmOf, type Digest, hexOf } from '../../../src/storage/digest.ts'
import { copyImage } from '../../../src/storage/images/copy-image.ts'
import { LayoutReader } from '../../../src/storage/images/layout/layout-reader.ts'
import { LayoutRepository } from '../../../src/storage/images/layout/layout-repository.ts'
import { edgesOf, parseManifest } from '../../../src/storage/manifest.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { MemoryRepository } from '../../support/memory-repository.ts'
import { type RandomImages, randomImages, reachable, referrersOf } from '../../support/random-images.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const v1 = { kind: 'tag', tag: parseTag('v1') } as const

describe('any image', () => {
  it('is copied with all that belongs to it, and nothing else is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        randomImages,
        fc.boolean(),
        fc.integer({ min: 1, max: 4 }),
        async (images, include, concurrency) => {
          const source = sourceOf(images)
          const target = new MemoryRepository('target')
          const report = await copyImage(source, v1, target, {
            tags: [v1.tag],
            referrers: { include },
            concurrency,
          })
          const expected = reachable(images, { referrers: include })
          assertHas(target, images, expected)
          const asked = source.takeAsked()
          assert.equal(new Set(asked).size, asked.length)
          assert.deepEqual(digestsIn(asked, 'get'), expected.manifests)
          assert.deepEqual(digestsIn(asked, 'blob'), expected.blobs)
          assert.equal(report.manifestsCopied, expected.manifests.size)
          assert.equal(report.bytes, source.sent)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is never there by halves, whenever the copy fails, and the next copy asks for what is missing', async () => {
    const run = fc.asyncProperty(
      randomImages,
      fc.array(fc.nat(120), { minLength: 1, maxLength: 3 }),
      async (images, faults) => {
        const source = sourceOf(images)
        const target = new MemoryRepository('target')
        const options = { tags: [v1.tag], referrers: { include: true } }
        const expected = reachable(images, { referrers: true })
        for (const after of faults) {
          failAfter(after, source, target)
          await copyImage(source, v1, target, options).catch((error: unknown) => {
            assert.ok(isDomainError(error, 'unavailable'), String(error))
          })
          assertWhole(target, images, expected.manifests)
        }
        for (const place of [source, target]) place.fault = () => {}
        const manifests = new Set(target.manifests.keys())
        const blobs = new Set(target.blobs.keys())
        const partials = new Map([...target.partials].map(([digest, { length }]) => [digest, length]))
        source.takeAsked()
        await copyImage(source, v1, target, options)
        assertHas(target, images, expected)
        const asked = source.takeAsked()
        assert.deepEqual(digestsIn(asked, 'get'), expected.manifests.difference(manifests))
        const open = digestsIn(asked, 'blob')
        assert.ok(open.isSubsetOf(expected.blobs.difference(blobs)))
        for (const digest of expected.blobs.difference(blobs))
          assert.ok(open.has(digest) || partials.has(digest))
        for (const [digest, offset] of partials) {
          const isWhole = offset > 0 && offset === images.graph.blobs.get(digest)?.length
          assert.equal(asked.includes(`blob ${digest} ${offset}`), !isWhole)
        }
      },
    )
    await fc.assert(run, { numRuns: 500 })
  })

  it('may be given up at any time: that is what is told, nothing goes on, and no listener is left', async () => {
    const run = fc.asyncProperty(randomImages, fc.nat(80), async (images, after) => {
      const source = sourceOf(images)
      const target = new MemoryRepository('target')
      const end = new AbortController()
      const reason = new DOMException('enough', 'AbortError')
      let left = after
      for (const place of [source, target])
        place.fault = () => {
          left -= 1
          if (left === 0) end.abort(reason)
        }
      const options = { tags: [v1.tag], referrers: { include: true }, signal: end.signal }
      await copyImage(source, v1, target, options).then(
        () => assert.ok(left > 0 || target.tagged.has(v1.tag)),
        (error: unknown) => assert.equal((error as Error).name, 'AbortError'),
      )
      assert.equal(getEventListeners(end.signal, 'abort').length, 0)
      const asked = [source.asked.length, target.asked.length]
      await setImmediate()
      assert.deepEqual([source.asked.length, target.asked.length], asked)
      assertWhole(target, images, reachable(images, { referrers: true }).manifests)
    })
    await fc.assert(run, { numRuns: 300 })
  })

  it('comes through layouts as it was', async () => {
    await fc.assert(
      fc.asyncProperty(randomImages, async images => {
        await using directory = await temporaryDirectory()
        const [first, second] = [join(directory.path, 'first'), join(directory.path, 'second')]
        const options = { tags: [v1.tag], referrers: { include: true } }
        const expected = reachable(images, { referrers: true })
        {
          await using layout = await LayoutRepository.open(first)
          await copyImage(sourceOf(images), v1, layout, options)
        }
        {
          await using layout = await LayoutRepository.open(second)
          await copyImage(await LayoutReader.open(first), v1, layout, options)
        }
        const copied = await LayoutReader.open(second)
        assert.deepEqual(await Array.fromAsync(copied.tags()), ['v1'])
        assert.equal((await copied.stat(v1)).digest, images.root.digest)
        for (const digest of expected.manifests) {
          const bytes = await readFile(join(second, 'blobs', algorithmOf(digest), hexOf(digest)))
          assert.ok(bytes.equals(images.graph.manifests.get(digest)?.bytes ?? Buffer.alloc(0)))
          const found = await Array.fromAsync(copied.referrers(digest))
          const wanted = referrersOf(images.graph, digest)
          assert.deepEqual(new Set(found.map(one => one.digest)), new Set(wanted.map(one => one.digest)))
        }
        for (const digest of expected.blobs) {
          const bytes = await buffer((await copied.openBlob(digest)).stream)
          assert.ok(bytes.equals(images.graph.blobs.get(digest) ?? Buffer.alloc(1)))
        }
      }),
      { numRuns: 15 },
    )
  })
})

function sourceOf({ graph, root }: RandomImages): MemoryRepository {
  return new MemoryRepository('source', graph, { v1: root })
}

/** The request with this number, at either place, fails, and all that come after it. */
function failAfter(count: number, ...places: readonly MemoryRepository[]): void {
  let left = count
  for (const place of places)
    place.fault = () => {
      left -= 1
      if (left < 0) throw new DomainError('unavailable', 'It has gone.', { resource: 'registry' })
    }
}

function assertHas(
  target: MemoryRepository,
  { graph, root }: RandomImages,
  expected: ReturnType<typeof reachable>,
): void {
  assert.deepEqual(new Set(target.manifests.keys()), expected.manifests)
  assert.deepEqual(new Set(target.blobs.keys()), expected.blobs)
  for (const [digest, { bytes }] of target.manifests)
    assert.deepEqual(bytes, graph.manifests.get(digest)?.bytes)
  for (const [digest, bytes] of target.blobs)
    assert.ok(bytes.equals(graph.blobs.get(digest) ?? Buffer.alloc(1)))
  assert.equal(target.tagged.get(v1.tag), root.digest)
}

/** What a manifest names is there, and what refers to anything that has a tag. */
function assertWhole(target: MemoryRepository, { graph }: RandomImages, all: ReadonlySet<Digest>): void {
  for (const { bytes } of target.manifests.values())
    for (const { role, descriptor } of edgesOf(parseManifest(bytes))) {
      if (role === 'config' || role === 'layer') assert.ok(target.blobs.has(descriptor.digest))
      if (role === 'child') assert.ok(target.manifests.has(descriptor.digest))
    }
  if (target.tagged.size > 0)
    for (const digest of all) assert.ok(target.manifests.has(digest), 'a tag, and not all of it')
  for (const [digest, bytes] of target.blobs)
    assert.ok(bytes.equals(graph.blobs.get(digest) ?? Buffer.alloc(1)))
}

function digestsIn(asked: readonly string[], what: string): Set<string> {
  return new Set(
    asked.flatMap(request => (request.startsWith(`${what} `) ? [request.split(' ')[1] ?? ''] : [])),
  )
}
