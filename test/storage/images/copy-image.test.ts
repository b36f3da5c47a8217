import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { digestOf, hexOf } from '../../../src/storage/digest.ts'
import { BlobFlights } from '../../../src/storage/images/blob-flights.ts'
import { type CopyOptions, copyImage } from '../../../src/storage/images/copy-image.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { parsePlatform } from '../../../src/storage/platform.ts'
import { parseRepositoryName, parseTag } from '../../../src/storage/reference.ts'
import { ImageGraph } from '../../support/image-graph.ts'
import { MemoryRepository } from '../../support/memory-repository.ts'
import { rejectsWith } from '../../support/rejects.ts'

const v1 = { kind: 'tag', tag: parseTag('v1') } as const
const amd64 = parsePlatform('linux/amd64')
const arm64 = parsePlatform('linux/arm64/v8')
const asV1: CopyOptions = { tags: [v1.tag] }
const withReferrers: CopyOptions = { ...asV1, referrers: { include: true } }

/** A source with one image under `v1`, and an empty target. */
function placesWith(make: (graph: ImageGraph) => StoredManifest) {
  const graph = new ImageGraph()
  const root = make(graph)
  const source = new MemoryRepository('source', graph, { v1: root })
  return { graph, root, source, target: new MemoryRepository('target') }
}

function multiArch(graph: ImageGraph) {
  const amd = graph.image({ layers: ['base', 'amd64'], config: 'amd64' })
  const arm = graph.image({ layers: ['base', 'arm64'], config: 'arm64' })
  const attested = graph.image({ layers: ['provenance of amd64'] })
  const attestedArm = graph.image({ layers: ['provenance of arm64'] })
  const unknown = parsePlatform('unknown/unknown')
  const root = graph.index([
    { child: amd, platform: amd64 },
    { child: arm, platform: arm64 },
    { child: attested, platform: unknown, annotations: { 'vnd.docker.reference.digest': amd.digest } },
    { child: attestedArm, platform: unknown, annotations: { 'vnd.docker.reference.digest': arm.digest } },
  ])
  return { amd, arm, attested, attestedArm, root }
}

describe('copying an image', () => {
  it('puts blobs, then children, then the index with its tags', async () => {
    const { root, source, target } = placesWith(graph => multiArch(graph).root)
    const report = await copyImage(source, v1, target, { tags: [v1.tag, parseTag('latest')], concurrency: 1 })
    const { bytes: _, ...info } = root
    const size = [...source.blobs.values()].reduce((sum, blob) => sum + blob.length, 0)
    assert.deepEqual(report, {
      manifest: info,
      manifestsCopied: 5,
      manifestsAbsent: 0,
      blobsCopied: source.blobs.size,
      blobsMounted: 0,
      blobsPresent: 0,
      bytes: size,
      referrersCopied: 0,
    })
    assert.deepEqual(target.manifests, source.manifests)
    assert.deepEqual(target.blobs, source.blobs)
    assert.equal(target.tagged.get(parseTag('latest')), root.digest)
    const puts = target.asked.filter(request => request.startsWith('put '))
    assert.equal(puts.at(-1), `put ${root.digest} v1,latest`)
    assert.equal(puts.filter(request => request.includes(root.digest)).length, 1)
    // Each once, however many manifests name it.
    assert.equal(new Set(source.asked).size, source.asked.length)
  })

  it('asks one thing of the source for what has not changed', async () => {
    const { source, target } = placesWith(graph => multiArch(graph).root)
    await copyImage(source, v1, target, asV1)
    source.takeAsked()
    target.takeAsked()
    const report = await copyImage(source, v1, target, asV1)
    assert.deepEqual(source.takeAsked(), ['stat v1'])
    assert.deepEqual(target.takeAsked(), ['stat v1'])
    assert.equal(report.manifestsCopied, 0)
    assert.equal(report.blobsPresent, 0)
  })

  it('when thorough, finds what is missing at the target below a tag that is right', async () => {
    const { source, target } = placesWith(graph => multiArch(graph).root)
    await copyImage(source, v1, target, { ...asV1, platforms: { mode: 'sparse', only: [amd64] } })
    source.takeAsked()
    const report = await copyImage(source, v1, target, { ...asV1, thorough: true })
    assert.equal(report.manifestsCopied, 2)
    assert.deepEqual(target.manifests, source.manifests)
    assert.equal(source.takeAsked().filter(request => request.startsWith('get')).length, 2)
  })

  it('takes what the tag named first, whatever it names meanwhile', async () => {
    const { graph, root, source, target } = placesWith(of => of.image({ layers: ['one'] }))
    const other = graph.image({ layers: ['two'] })
    source.fault = request => {
      if (request === 'stat v1') queueMicrotask(() => source.tagged.set(v1.tag, other.digest))
    }
    const { manifest } = await copyImage(source, v1, target, asV1)
    assert.equal(manifest.digest, root.digest)
    assert.equal(target.tagged.get(v1.tag), root.digest)
  })

  it('mounts what the place has already', async () => {
    const { source, target } = placesWith(graph => graph.image({ layers: ['base', 'own'] }))
    const name = parseRepositoryName('library/other')
    const sibling = new MemoryRepository('sibling')
    const [base] = [...source.blobs].find(([, bytes]) => bytes.toString() === 'base') ?? []
    assert.ok(base !== undefined)
    sibling.blobs.set(base, Buffer.from('base'))
    target.siblings.set(name, sibling)
    const report = await copyImage(source, v1, target, { ...asV1, mountFrom: [name] })
    assert.equal(report.blobsMounted, 1)
    assert.equal(report.blobsCopied, 2)
    assert.ok(!source.asked.some(request => request.startsWith(`blob ${base}`)))
  })

  it('shares what is on its way with other copies to the same place', async () => {
    const { source, target } = placesWith(graph => graph.image({ layers: ['base', 'own'] }))
    const flights = new BlobFlights()
    const other = new MemoryRepository('other')
    const [first, second] = [parseRepositoryName('first'), parseRepositoryName('second')]
    other.siblings.set(first, target)
    target.siblings.set(second, other)
    await Promise.all([
      copyImage(source, v1, target, { ...asV1, flights, repository: first }),
      copyImage(source, v1, other, { ...asV1, flights, repository: second }),
    ])
    assert.equal(source.asked.filter(request => request.startsWith('blob ')).length, 3)
    assert.deepEqual(target.blobs, source.blobs)
    assert.deepEqual(other.blobs, source.blobs)
  })

  it('copies without a tag, and a tag to a place that has it without one', async () => {
    const { root, source, target } = placesWith(graph => multiArch(graph).root)
    await copyImage(source, { kind: 'digest', digest: root.digest }, target, { tags: [] })
    assert.equal(target.tagged.size, 0)
    source.takeAsked()
    const report = await copyImage(source, v1, target, asV1)
    assert.equal(target.tagged.get(v1.tag), root.digest)
    assert.deepEqual(source.takeAsked(), ['stat v1'])
    assert.equal(report.manifestsCopied, 0)
  })

  it('leaves out layers that say where else they are, unless they are there', async () => {
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
    for (const isThere of [false, true]) {
      const { source, target } = placesWith(graph => {
        const layer = { ...graph.blob('windows', foreign), urls: ['https://example.org/windows'] }
        const config = graph.blob('{}', mediaTypes.dockerConfig)
        return graph.add({ mediaType: mediaTypes.dockerManifest, config, layers: [layer] })
      })
      const [windows] = [...source.blobs].find(([, bytes]) => bytes.toString() === 'windows') ?? []
      assert.ok(windows !== undefined)
      if (!isThere) source.blobs.delete(windows)
      const { blobsCopied } = await copyImage(source, v1, target, asV1)
      assert.equal(blobsCopied, isThere ? 2 : 1)
    }
  })

  it('leaves out children that the source itself lacks, but not all of them', async () => {
    const graph = new ImageGraph()
    const { amd, arm, attested, attestedArm, root } = multiArch(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    source.manifests.delete(arm.digest)
    const { manifestsAbsent, manifestsCopied } = await copyImage(source, v1, target, asV1)
    assert.deepEqual({ manifestsAbsent, manifestsCopied }, { manifestsAbsent: 1, manifestsCopied: 4 })
    const wanted = { ...asV1, platforms: { mode: 'sparse', only: [arm64] } } as const
    await rejectsWith('not_found', copyImage(source, v1, new MemoryRepository('fresh'), wanted))
    for (const { digest } of [amd, attested, attestedArm]) source.manifests.delete(digest)
    await rejectsWith('not_found', copyImage(source, v1, new MemoryRepository('fresh'), asV1))
  })

  it('copies children that are no manifests as what they are: blobs', async () => {
    const { source, target } = placesWith(graph => {
      const text = graph.blob('a text', 'text/plain')
      return graph.add({ mediaType: mediaTypes.ociIndex, manifests: [text] })
    })
    const { blobsCopied } = await copyImage(source, v1, target, asV1)
    assert.equal(blobsCopied, 1)
  })
})

describe('copying platforms', () => {
  it('sparse: the index as it is, the children for them, and what is attested of those', async () => {
    const graph = new ImageGraph()
    const { amd, attested, root } = multiArch(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    await copyImage(source, v1, target, { ...asV1, platforms: { mode: 'sparse', only: [amd64] } })
    assert.deepEqual(new Set(target.manifests.keys()), new Set([amd.digest, attested.digest, root.digest]))
    assert.equal(target.tagged.get(v1.tag), root.digest)
  })

  it('sparse: also what does not say a platform', async () => {
    const { source, target } = placesWith(graph => {
      const said = graph.image({ layers: ['said'] })
      const other = graph.image({ layers: ['other'] })
      const nested = graph.index([
        { child: said, platform: amd64 },
        { child: other, platform: arm64 },
      ])
      return graph.index([{ child: nested }, { child: said, platform: amd64 }])
    })
    await copyImage(source, v1, target, { ...asV1, platforms: { mode: 'sparse', only: [amd64] } })
    assert.equal(target.manifests.size, 3)
  })

  it('single: the manifest in the place of the index', async () => {
    const graph = new ImageGraph()
    const { arm, root } = multiArch(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    const single = { ...asV1, platforms: { mode: 'single', only: [parsePlatform('linux/arm64')] } } as const
    const { manifest } = await copyImage(source, v1, target, single)
    assert.equal(manifest.digest, arm.digest)
    assert.equal(target.tagged.get(v1.tag), arm.digest)
    assert.equal(target.manifests.size, 1)
  })

  it('that there are not is an error, which names those that there are', async () => {
    for (const mode of ['sparse', 'single'] as const) {
      const { source, target } = placesWith(graph => multiArch(graph).root)
      const platforms = { mode, only: [parsePlatform('linux/s390x')] }
      const error = await rejectsWith('not_found', copyImage(source, v1, target, { ...asV1, platforms }))
      assert.match(error.message, /not there for linux\/s390x; it is for: linux\/amd64, linux\/arm64\/v8\.$/)
      assert.equal(target.blobs.size, 0)
    }
    const { source, target } = placesWith(graph => multiArch(graph).root)
    const two = { mode: 'single', only: [amd64, arm64] } as const
    await rejectsWith('invalid', copyImage(source, v1, target, { ...asV1, platforms: two }))
  })

  it('of what is no index copies that', async () => {
    for (const mode of ['sparse', 'single'] as const) {
      const { root, source, target } = placesWith(graph => graph.image({ layers: ['plain'] }))
      const report = await copyImage(source, v1, target, { ...asV1, platforms: { mode, only: [arm64] } })
      assert.equal(report.manifest.digest, root.digest)
    }
  })
})

describe('copying referrers', () => {
  function signed(graph: ImageGraph) {
    const { amd, root } = multiArch(graph)
    const signature = graph.image({ layers: ['signature'], subject: root, artifactType: 'a/signature' })
    const bill = graph.image({ layers: ['bill of amd64'], subject: amd, artifactType: 'a/sbom' })
    const billSignature = graph.image({
      layers: ['signature of bill'],
      subject: bill,
      artifactType: 'a/signature',
    })
    return { root, signature, bill, billSignature }
  }

  it('takes those of the image, of its children and of themselves, before the tag', async () => {
    const graph = new ImageGraph()
    const { root, signature, bill, billSignature } = signed(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    const report = await copyImage(source, v1, target, withReferrers)
    assert.equal(report.referrersCopied, 3)
    assert.equal(report.manifestsCopied, 8)
    assert.deepEqual(target.manifests, source.manifests)
    const puts = target.asked.filter(request => request.startsWith('put '))
    assert.equal(puts.at(-1), `put ${root.digest} v1`)
    for (const { digest } of [signature, bill, billSignature])
      assert.ok(puts.indexOf(`put ${digest}`) > puts.indexOf(`put ${root.digest}`))
  })

  it('finds new ones of an image that has not changed, and reads nothing else of the source', async () => {
    const graph = new ImageGraph()
    const { root, bill } = signed(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    await copyImage(source, v1, target, withReferrers)
    const late = graph.image({ layers: ['late'], subject: bill })
    source.manifests.set(late.digest, late)
    for (const [digest, bytes] of graph.blobs) source.blobs.set(digest, bytes)
    source.takeAsked()
    target.takeAsked()
    const { referrersCopied } = await copyImage(source, v1, target, withReferrers)
    assert.equal(referrersCopied, 1)
    const read = source.takeAsked().filter(request => /^(?:get|blob)/.test(request))
    assert.deepEqual(
      read.map(request => request.split(' ')[0]),
      ['get', 'blob'],
    )
    assert.ok(!target.takeAsked().some(request => request.startsWith(`put ${root.digest}`)))
  })

  it('are manifests: blobs that a source lists among them are not brought', async () => {
    const { source, target, root } = placesWith(graph => graph.image({ layers: ['one'] }))
    const stray = Buffer.from('stray')
    const listed = { mediaType: 'application/octet-stream', digest: digestOf(stray), size: stray.length }
    source.blobs.set(listed.digest, stray)
    source.referrers = async function* () {
      yield listed
    }
    await copyImage(source, v1, target, withReferrers)
    assert.equal((await target.stat(v1)).digest, root.digest)
    assert.ok(!target.blobs.has(listed.digest))
  })

  it('are too many when a source lists the same ones for many subjects', async () => {
    const { source, target } = placesWith(graph =>
      graph.index(Array.from({ length: 11 }, (_, n) => ({ child: graph.image({ layers: [`${n}`] }) }))),
    )
    const digests = Array.from({ length: 1000 }, (_, n) => digestOf(Buffer.from(`${n}`)))
    source.referrers = async function* () {
      for (const digest of digests) yield { mediaType: mediaTypes.ociManifest, digest, size: 1 }
    }
    await rejectsWith('too_large', copyImage(source, v1, target, withReferrers))
  })

  it('are put again where the target has them and does not list them', async () => {
    const graph = new ImageGraph()
    const { root, signature } = signed(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    await copyImage(source, v1, target, withReferrers)
    let isListed = false
    const list = target.referrers.bind(target)
    target.referrers = async function* (subject, options) {
      for await (const one of list(subject, options))
        if (isListed || one.digest !== signature.digest) yield one
    }
    target.fault = request => {
      if (request === `put ${signature.digest}`) isListed = true
    }
    target.takeAsked()
    assert.equal((await copyImage(source, v1, target, withReferrers)).referrersCopied, 0)
    const puts = () => target.takeAsked().filter(request => request.startsWith('put '))
    assert.deepEqual(puts(), [`put ${signature.digest}`])
    await copyImage(source, v1, target, withReferrers)
    assert.deepEqual(puts(), [])
  })

  it('may be of some types only', async () => {
    const graph = new ImageGraph()
    const { root, signature } = signed(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    const target = new MemoryRepository('target')
    const referrers = { include: true, artifactTypes: ['a/signature'] }
    assert.equal((await copyImage(source, v1, target, { ...asV1, referrers })).referrersCopied, 1)
    assert.ok(target.manifests.has(signature.digest))
  })

  it('that the source names and does not have are passed over', async () => {
    const graph = new ImageGraph()
    const { root, bill } = signed(graph)
    const source = new MemoryRepository('source', graph, { v1: root })
    source.fault = request => {
      if (request === `get ${bill.digest}`)
        throw new DomainError('not_found', 'Gone.', { resource: 'manifest' })
    }
    const report = await copyImage(source, v1, new MemoryRepository('target'), withReferrers)
    assert.equal(report.manifestsAbsent, 1)
    assert.equal(report.referrersCopied, 1)
  })

  it('knows what cosign wrote before there were any', async () => {
    const graph = new ImageGraph()
    const { amd, root } = multiArch(graph)
    const signature = graph.image({ layers: ['cosign signature'] })
    const attestation = graph.image({ layers: ['cosign attestation'] })
    const tags = {
      v1: root,
      [`sha256-${hexOf(root.digest)}.sig`]: signature,
      [`sha256-${hexOf(amd.digest)}.att`]: attestation,
    }
    for (const known of [true, new Set(Object.keys(tags))]) {
      const source = new MemoryRepository('source', graph, tags)
      const target = new MemoryRepository('target')
      const options = { ...asV1, referrers: { include: false, legacyCosignTags: known } }
      assert.equal((await copyImage(source, v1, target, options)).referrersCopied, 2)
      assert.deepEqual(target.tagged, source.tagged)
      assert.equal([...target.tagged.keys()].at(-1), 'v1')
      const asked = source.takeAsked().filter(request => request.startsWith('stat sha256-'))
      assert.equal(asked.length, known === true ? 15 : 2)
      assert.equal((await copyImage(source, v1, target, options)).manifestsCopied, 0)
    }
  })
})

describe('a source that lies', () => {
  it('about a manifest is not believed', async () => {
    const { root, source, target } = placesWith(graph => graph.image({ layers: ['one'] }))
    const other = new ImageGraph().image({ layers: ['two'] })
    source.manifests.set(root.digest, { ...other, digest: root.digest })
    await rejectsWith('digest_mismatch', copyImage(source, v1, target, asV1))
    assert.equal(target.manifests.size, 0)
  })

  it('about a size is not believed', async () => {
    for (const size of [1, 1000]) {
      const wrongLayer = placesWith(graph => {
        const layer = { ...graph.blob('layer', 'application/vnd.oci.image.layer.v1.tar'), size }
        const config = graph.blob('{}', mediaTypes.ociConfig)
        return graph.add({ mediaType: mediaTypes.ociManifest, config, layers: [layer] })
      })
      await rejectsWith('size_mismatch', copyImage(wrongLayer.source, v1, wrongLayer.target, asV1))
      assert.equal(wrongLayer.target.manifests.size, 0)

      const wrongChild = placesWith(graph => {
        const child = graph.image({ layers: ['one'] })
        return graph.index([{ child: { ...child, size } }])
      })
      await rejectsWith('size_mismatch', copyImage(wrongChild.source, v1, wrongChild.target, asV1))
      assert.equal(wrongChild.target.manifests.size, 0)
    }
  })

  it('about a blob is not believed, and the others end', async () => {
    const { source, target } = placesWith(graph => graph.image({ layers: ['a', 'b', 'c', 'd', 'e', 'f'] }))
    for (const digest of source.blobs.keys()) source.lies.set(digest, Buffer.from('?'))
    await rejectsWith('digest_mismatch', copyImage(source, v1, target, { ...asV1, concurrency: 1 }))
    assert.equal(target.blobs.size, 0)
    assert.equal(source.asked.filter(request => request.startsWith('blob ')).length, 1)
  })

  it('with more than any image has is refused', async () => {
    const deep = placesWith(graph => {
      let child = graph.image({ layers: ['one'] })
      for (let depth = 0; depth < 10; depth += 1) child = graph.index([{ child }])
      return child
    })
    await rejectsWith('too_large', copyImage(deep.source, v1, deep.target, asV1))
    assert.equal(deep.target.manifests.size, 0)
    const chain = placesWith(graph => {
      const root = graph.image({ layers: ['one'] })
      let subject = root
      for (let depth = 0; depth < 10; depth += 1) subject = graph.image({ layers: [`${depth}`], subject })
      return root
    })
    await rejectsWith('too_large', copyImage(chain.source, v1, chain.target, withReferrers))
    assert.equal(chain.target.tagged.size, 0)
  })
})

describe('a copy that is given up', () => {
  it('before it begins asks nothing; in the middle, it leaves no listener', async () => {
    const { source, target } = placesWith(graph => multiArch(graph).root)
    const reason = new DOMException('enough', 'AbortError')
    const before = { ...asV1, signal: AbortSignal.abort(reason) }
    await assert.rejects(copyImage(source, v1, target, before), error => error === reason)
    assert.deepEqual(source.takeAsked(), [])

    const end = new AbortController()
    source.fault = request => {
      if (request === 'piece') end.abort(reason)
    }
    await assert.rejects(copyImage(source, v1, target, { ...asV1, signal: end.signal }), {
      name: 'AbortError',
    })
    assert.equal(getEventListeners(end.signal, 'abort').length, 0)
    assert.equal(target.tagged.size, 0)
    source.fault = () => {}
    await copyImage(source, v1, target, asV1)
    assert.deepEqual(target.blobs, source.blobs)
  })
})
