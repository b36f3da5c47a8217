import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { algorithmOf, type Digest, digestOf, hexOf } from '../../../src/storage/digest.ts'
import { copyImage } from '../../../src/storage/images/copy-image.ts'
import { LayoutReader } from '../../../src/storage/images/layout/layout-reader.ts'
import { LayoutRepository } from '../../../src/storage/images/layout/layout-repository.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { StoredManifest } from '../../../src/storage/metadata/manifest-records.ts'
import { parseTag } from '../../../src/storage/reference.ts'
import { sourceOf } from '../../contract/image-repository.ts'
import { ImageGraph, storedManifest } from '../../support/image-graph.ts'
import { MemoryRepository } from '../../support/memory-repository.ts'
import { openFilesBelow } from '../../support/open-files.ts'
import { exec } from '../../support/process.ts'
import { skipWithout } from '../../support/programs.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'

const v1 = { kind: 'tag', tag: parseTag('v1') } as const

let temporary: TemporaryDirectory
let directory: string
beforeEach(async () => {
  temporary = await temporaryDirectory()
  directory = join(temporary.path, 'layout')
})
afterEach(async () => {
  try {
    assert.deepEqual(openFilesBelow(temporary.path), [])
  } finally {
    await temporary.remove()
  }
})

function signedImage(): {
  graph: ImageGraph
  image: StoredManifest
  signature: StoredManifest
  root: StoredManifest
} {
  const graph = new ImageGraph()
  const image = graph.image({ layers: ['one', 'two'] })
  const root = graph.index([{ child: image }])
  const signature = graph.image({ layers: ['signature'], subject: root, artifactType: 'a/signature' })
  return { graph, image, signature, root }
}

async function fill(): Promise<ReturnType<typeof signedImage>> {
  const made = signedImage()
  await using layout = await LayoutRepository.open(directory)
  const source = new MemoryRepository('source', made.graph, { v1: made.root })
  await copyImage(source, v1, layout, { tags: [v1.tag], referrers: { include: true } })
  return made
}

const blobFile = (digest: Digest) => join(directory, 'blobs', algorithmOf(digest), hexOf(digest))
const indexFile = () => join(directory, 'index.json')
const entries = async () =>
  (
    JSON.parse(await readFile(indexFile(), 'utf8')) as {
      manifests: { digest: string; annotations?: object }[]
    }
  ).manifests

describe('a layout that images are written to', () => {
  it('has what the specification says, and in index.json what is not found by way of something else', async () => {
    const { root, signature } = await fill()
    assert.deepEqual(JSON.parse(await readFile(join(directory, 'oci-layout'), 'utf8')), {
      imageLayoutVersion: '1.0.0',
    })
    assert.deepEqual((await readdir(directory)).sort(), ['.varve', 'blobs', 'index.json', 'oci-layout'])
    assert.deepEqual(await readdir(join(directory, '.varve', 'partial')), [])
    assert.deepEqual(await readdir(join(directory, '.varve', 'new')), [])
    assert.deepEqual(
      new Map((await entries()).map(({ digest, annotations }) => [digest, annotations])),
      new Map<string, object | undefined>([
        [root.digest, { 'org.opencontainers.image.ref.name': 'v1' }],
        [signature.digest, undefined],
      ]),
    )
  })

  it('keeps what others have written into it', async () => {
    await fill()
    const index = JSON.parse(await readFile(indexFile(), 'utf8')) as { manifests: object[] }
    const foreign = {
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(Buffer.from('elsewhere')),
      size: 9,
      annotations: { 'org.opencontainers.image.ref.name': 'not a tag', 'com.example': 'kept' },
      data: 'e30=',
    }
    const annotations = { 'com.example.index': 'kept' }
    await writeFile(
      indexFile(),
      JSON.stringify({ ...index, annotations, manifests: [...index.manifests, foreign] }),
    )
    await using layout = await LayoutRepository.open(directory)
    await layout.putManifest(await layout.get(v1), [parseTag('v2')])
    const after = JSON.parse(await readFile(indexFile(), 'utf8')) as {
      annotations: object
      manifests: object[]
    }
    assert.deepEqual(after.annotations, annotations)
    assert.deepEqual(after.manifests.at(-2), foreign)
    assert.deepEqual(await Array.fromAsync(layout.tags()), ['v1', 'v2'])
    await layout.deleteTag(v1.tag)
    await layout.deleteTag(parseTag('v2'))
    assert.deepEqual(await Array.fromAsync(layout.tags()), [])
    assert.equal((await entries()).length, 3)
  })

  it('has one writer at a time', async () => {
    {
      await using _first = await LayoutRepository.open(directory)
      await rejectsWith('busy', LayoutRepository.open(directory))
    }
    await using _second = await LayoutRepository.open(directory)
  })

  it('is not made among other files', async () => {
    await mkdir(directory)
    await writeFile(join(directory, 'thesis.txt'), 'years of work')
    await rejectsWith('conflict', LayoutRepository.open(directory))
    assert.deepEqual(await readdir(directory), ['thesis.txt'])
    await rejectsWith('not_found', LayoutReader.open(directory))
    await rejectsWith('not_found', LayoutReader.open(join(directory, 'nowhere')))
    await rejectsWith('not_found', LayoutReader.open(join(directory, 'thesis.txt')))
  })

  it('goes on with a blob whose writer has died, if its bytes are right', async () => {
    const bytes = Buffer.from('0123456789'.repeat(1000))
    const blob = { digest: digestOf(bytes), size: bytes.length }
    for (const [kept, expected] of [
      [bytes.subarray(0, 4000), [4000]],
      [bytes, []],
      [Buffer.from('wrong'), [5, 0]],
      [Buffer.concat([bytes, bytes]), [0]],
      [Buffer.alloc(bytes.length), [0]],
    ] as const) {
      await rm(directory, { recursive: true, force: true })
      await using layout = await LayoutRepository.open(directory)
      await mkdir(join(directory, '.varve', 'partial'), { recursive: true })
      await writeFile(join(directory, '.varve', 'partial', `sha256-${hexOf(blob.digest)}`), kept)
      const offsets: number[] = []
      const open = sourceOf(bytes)
      await layout.putBlob(blob, async (offset, options) => {
        offsets.push(offset)
        return await open(offset, options)
      })
      assert.deepEqual(offsets, expected)
      assert.ok((await readFile(blobFile(blob.digest))).equals(bytes))
      assert.deepEqual(await readdir(join(directory, '.varve', 'partial')), [])
    }
  })

  it('does not write into a file that has another name elsewhere', async () => {
    const bytes = Buffer.from('the blob')
    const digest = digestOf(bytes)
    await using layout = await LayoutRepository.open(directory)
    const precious = join(temporary.path, 'precious')
    await writeFile(precious, 'the')
    await mkdir(join(directory, '.varve', 'partial'))
    await link(precious, join(directory, '.varve', 'partial', `sha256-${hexOf(digest)}`))
    await layout.putBlob({ digest, size: bytes.length }, sourceOf(bytes))
    assert.equal(await readFile(precious, 'utf8'), 'the')
  })
})

describe('a hostile layout', () => {
  it('with symlinks in it is refused, wherever they are', async () => {
    const { root, image } = await fill()
    const outside = join(temporary.path, 'outside')
    await mkdir(outside)
    const [config] = image.bytes.toString().match(/sha256:[0-9a-f]{64}/) ?? []
    assert.ok(config !== undefined)
    const digest = config as Digest
    await writeFile(join(outside, hexOf(digest)), 'secret')
    await writeFile(join(outside, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [] }))

    await rm(blobFile(digest))
    await symlink(join(outside, hexOf(digest)), blobFile(digest))
    await using layout = await LayoutRepository.open(directory)
    await rejectsWith('invalid', layout.openBlob(digest))
    await rejectsWith('invalid', layout.statBlob(digest))
    await rejectsWith('invalid', layout.hasBlob({ digest, size: 6 }))

    await rm(join(directory, 'blobs'), { recursive: true })
    await mkdir(join(directory, 'blobs'))
    await symlink(outside, join(directory, 'blobs', 'sha256'))
    await rejectsWith('invalid', layout.openBlob(digest))
    await rejectsWith('invalid', layout.get({ kind: 'digest', digest: root.digest }))
    const bytes = Buffer.from('new')
    await rejectsWith('invalid', layout.putBlob({ digest: digestOf(bytes), size: 3 }, sourceOf(bytes)))
    await rejectsWith(
      'invalid',
      layout.putManifest(storedManifest({ mediaType: mediaTypes.ociIndex, manifests: [] }), []),
    )
    assert.deepEqual((await readdir(outside)).sort(), [hexOf(digest), 'index.json'].sort())

    await rm(indexFile())
    await symlink(join(outside, 'index.json'), indexFile())
    await rejectsWith('invalid', Array.fromAsync(layout.tags()))
  })

  it('with a symlink in the place of what is private is not written to', async () => {
    await fill()
    const outside = join(temporary.path, 'outside')
    await mkdir(outside)
    await rm(join(directory, '.varve', 'lock'))
    await symlink(join(outside, 'lock'), join(directory, '.varve', 'lock'))
    await rejectsWith('invalid', LayoutRepository.open(directory))
    await rm(join(directory, '.varve'), { recursive: true })
    await symlink(outside, join(directory, '.varve'))
    await rejectsWith('invalid', LayoutRepository.open(directory))
    assert.deepEqual(await readdir(outside), [])
    // To read it nothing private is needed.
    assert.deepEqual(await Array.fromAsync((await LayoutReader.open(directory)).tags()), ['v1'])
  })

  it('with a FIFO or a directory in the place of a file does not keep anybody waiting', async () => {
    await fill()
    await rm(indexFile())
    await exec('mkfifo', [indexFile()])
    const layout = await LayoutReader.open(directory)
    await rejectsWith('invalid', layout.stat(v1))
    await rm(indexFile())
    await mkdir(indexFile())
    await rejectsWith('invalid', layout.stat(v1))
    await rm(indexFile(), { recursive: true })
    await rejectsWith('not_found', layout.stat(v1))
  })

  it('that lies about sizes and digests is not believed', async () => {
    const { root } = await fill()
    const layout = await LayoutReader.open(directory)
    const good = await readFile(indexFile(), 'utf8')
    await writeFile(indexFile(), good.replaceAll(`"size": ${root.size}`, '"size": 1'))
    await rejectsWith('size_mismatch', layout.get(v1))
    await writeFile(indexFile(), good.replaceAll(mediaTypes.ociIndex, mediaTypes.ociManifest))
    await rejectsWith('invalid', layout.get(v1))
    await writeFile(indexFile(), good)
    await writeFile(blobFile(root.digest), 'other bytes')
    await rejectsWith('digest_mismatch', layout.get(v1))
    await truncate(blobFile(root.digest), 100 * 1024 * 1024)
    await rejectsWith('too_large', layout.get(v1))
  })

  it('whose blob is another one than it says gives nothing to a copy', async () => {
    const { graph } = await fill()
    const source = await LayoutReader.open(directory)
    const [digest, bytes] = [...graph.blobs].find(([, blob]) => blob.toString() === 'two') ?? []
    assert.ok(digest !== undefined && bytes !== undefined)
    for (const [wrong, code] of [
      ['owt', 'digest_mismatch'],
      ['longer than it', 'size_mismatch'],
      ['', 'size_mismatch'],
    ] as const) {
      await writeFile(blobFile(digest), wrong)
      await using target = await LayoutRepository.open(join(temporary.path, `target-${wrong.length}`))
      await rejectsWith(code, copyImage(source, v1, target, { tags: [v1.tag] }))
      assert.deepEqual(await Array.fromAsync(target.tags()), [])
      assert.equal(await target.hasBlob({ digest, size: bytes.length }), false)
    }
  })

  it('with an index.json that is no index is refused', async () => {
    await fill()
    const layout = await LayoutReader.open(directory)
    const digest = `sha256:../../../../${'a'.repeat(51)}`
    for (const text of [
      'nonsense',
      '[]',
      '{"schemaVersion":1,"manifests":[]}',
      '{"schemaVersion":2}',
      `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"${digest}"}]}`,
      `{"schemaVersion":2,"manifests":[],"deep":${'['.repeat(1000)}${']'.repeat(1000)}}`,
    ]) {
      await writeFile(indexFile(), text)
      await rejectsWith('invalid', Array.fromAsync(layout.tags()))
    }
    await truncate(indexFile(), 1024 * 1024 * 1024)
    await rejectsWith('too_large', Array.fromAsync(layout.tags()))
    for (const marker of ['{}', '{"imageLayoutVersion":"2.0.0"}', 'nonsense']) {
      await writeFile(join(directory, 'oci-layout'), marker)
      await rejectsWith('invalid', LayoutReader.open(directory))
      await rejectsWith('invalid', LayoutRepository.open(directory))
    }
  })
})

describe('a disk that fails for a moment', { skip: await skipWithout('prlimit') }, () => {
  const ignore = (): void => {}
  const limitFiles = async (bytes: string): Promise<void> => {
    await exec('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`])
  }
  // Who may write no more is sent this signal, beside the error.
  before(() => void process.on('SIGXFSZ', ignore))
  after(async () => {
    await limitFiles('unlimited')
    process.off('SIGXFSZ', ignore)
  })

  it('leaves no gap in a blob', async () => {
    const bytes = randomBytes(1_000_000)
    const blob = { digest: digestOf(bytes), size: bytes.length }
    await using layout = await LayoutRepository.open(directory)
    const offsets: number[] = []
    await limitFiles('300000')
    await layout.putBlob(blob, async offset => {
      offsets.push(offset)
      if (offsets.length > 1) await limitFiles('unlimited')
      return Readable.from(slicesOf(bytes.subarray(offset)))
    })
    assert.ok(offsets.length > 1)
    assert.ok((await readFile(blobFile(blob.digest))).equals(bytes))
  })
})

function* slicesOf(content: Buffer): Generator<Buffer> {
  for (let at = 0; at < content.length; at += 65_536) yield Buffer.from(content.subarray(at, at + 65_536))
}

describe('layouts of other tools', { skip: await skipWithout('skopeo') }, () => {
  it('are read, and skopeo reads ours', async () => {
    const { graph, image } = signedImage()
    {
      await using layout = await LayoutRepository.open(directory)
      const source = new MemoryRepository('source', graph, { v1: image })
      await copyImage(source, v1, layout, { tags: [v1.tag] })
    }
    const theirs = join(temporary.path, 'theirs')
    await exec('skopeo', ['copy', '--all', '--preserve-digests', `oci:${directory}:v1`, `oci:${theirs}:v1`])
    await using back = await LayoutRepository.open(join(temporary.path, 'back'))
    await copyImage(await LayoutReader.open(theirs), v1, back, { tags: [v1.tag] })
    assert.equal((await back.stat(v1)).digest, image.digest)
    for (const [digest, bytes] of graph.blobs)
      if (bytes.toString() !== 'signature')
        assert.ok((await buffer((await back.openBlob(digest)).stream)).equals(bytes))
  })

  it('may have the referrers in an index under a tag', async () => {
    const { root, signature } = await fill()
    const { digest, mediaType, size } = signature
    const list = storedManifest({ mediaType: mediaTypes.ociIndex, manifests: [{ digest, mediaType, size }] })
    await writeFile(blobFile(list.digest), list.bytes)
    const index = JSON.parse(await readFile(indexFile(), 'utf8')) as { manifests: { digest: string }[] }
    const manifests = [
      ...index.manifests.filter(entry => entry.digest !== digest),
      {
        mediaType: list.mediaType,
        digest: list.digest,
        size: list.size,
        annotations: { 'org.opencontainers.image.ref.name': `sha256-${hexOf(root.digest)}` },
      },
    ]
    await writeFile(indexFile(), JSON.stringify({ ...index, manifests }))
    const layout = await LayoutReader.open(directory)
    const [found] = await Array.fromAsync(layout.referrers(root.digest))
    assert.equal(found?.digest, digest)
    assert.equal(found?.artifactType, 'a/signature')
  })
})
