/** Layers whose producers made them for other readers too, read here as what they are to everybody: a tar stream. */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { openLayerTar } from '../../../../src/importer/layer/decode/decompress.ts'
import { defaultLayerLimits } from '../../../../src/importer/layer/limits.ts'
import { type Digest, digestOf } from '../../../../src/storage/digest.ts'
import { mediaTypes } from '../../../../src/storage/media-types.ts'
import { blobPath, findTag, readManifest } from '../../../fixtures/image/oci-layout.ts'
import { gzipLayer, layerBlob, sourceOf, zstdLayer } from '../../../support/layer-blobs.ts'
import { exec } from '../../../support/process.ts'
import { skipWithout } from '../../../support/programs.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'
import { dir, endOfArchive, file, tar } from '../../../support/tar.ts'

const parts = [
  dir('etc'),
  file('etc/motd', 'hello'),
  file('etc/large', Buffer.alloc(300_000, '0123456789abc')),
]

async function read(blob: Buffer, expected: Buffer, mediaType: string): Promise<Buffer> {
  const { bytes, promise } = layerBlob(expected, blob, mediaType)
  return await buffer(openLayerTar(sourceOf(bytes), promise, defaultLayerLimits))
}

describe('seekable layers as ordinary ones', { timeout: 120_000 }, () => {
  it('reads an eStargz: a gzip member for each entry, one for the index, and an empty one with its offset', async () => {
    const index = file('stargz.index.json', JSON.stringify({ version: 1, entries: [] }))
    const members = [...parts, Buffer.concat([index, endOfArchive])]
    const offset = members.slice(0, -1).reduce((sum, member) => sum + gzipSync(member).length, 0)
    const blob = Buffer.concat([...members.map(member => gzipSync(member)), stargzFooter(offset)])
    const expected = tar(...parts, index)
    assert.deepEqual(await read(blob, expected, gzipLayer), expected)
  })

  const skip = skipWithout('skopeo')
  it('reads what skopeo writes as zstd:chunked', async t => {
    const reason = await skip
    if (reason !== false) return t.skip(reason)
    await using directory = await temporaryDirectory()
    const expected = tar(...parts)
    const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')]
    await writeLayout(from, expected)
    const format = ['--dest-compress', '--dest-compress-format', 'zstd:chunked']
    await exec('skopeo', ['--insecure-policy', 'copy', ...format, `oci:${from}:t`, `oci:${to}:t`])
    const manifest = await readManifest(to, (await findTag(to, 't')).digest)
    assert.ok(manifest.kind === 'image')
    const [layer] = manifest.layers
    assert.equal(layer?.mediaType, zstdLayer)
    const blob = await readFile(blobPath(to, layer.digest))
    assert.ok(countFrames(blob) > parts.length, 'a frame for each file, and skippable ones')
    assert.deepEqual(await read(blob, expected, zstdLayer), expected)
  })
})

/** The footer of eStargz: a gzip member without content whose header says where the index begins. */
function stargzFooter(offset: number): Buffer {
  const field = Buffer.from(`${offset.toString(16).padStart(16, '0')}STARGZ`)
  const extra = Buffer.concat([Buffer.from('SG'), Buffer.of(field.length, 0), field])
  const head = Buffer.of(0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, extra.length, 0)
  return Buffer.concat([head, extra, Buffer.of(1, 0, 0, 0xff, 0xff), Buffer.alloc(8)])
}

/** Magics of frames and of skippable frames; content that looks like one counts, too. */
function countFrames(blob: Buffer): number {
  const magics = [Buffer.from('28b52ffd', 'hex'), Buffer.from('502a4d18', 'hex')]
  return magics.reduce(
    (sum, magic) => sum + blob.toString('latin1').split(magic.toString('latin1')).length - 1,
    0,
  )
}

/** An OCI layout with an image of this one layer, tagged `t`. */
async function writeLayout(directory: string, layer: Buffer): Promise<void> {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
  const put = async (mediaType: string, bytes: Buffer): Promise<Described> => {
    const digest = digestOf(bytes)
    await writeFile(blobPath(directory, digest), bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const rootfs = { type: 'layers', diff_ids: [digestOf(layer)] }
  const config = await put(
    mediaTypes.ociConfig,
    json({ os: 'linux', architecture: 'amd64', rootfs, config: {} }),
  )
  const layers = [await put(gzipLayer, gzipSync(layer))]
  const mediaType = mediaTypes.ociManifest
  const manifest = await put(mediaType, json({ schemaVersion: 2, mediaType, config, layers }))
  const annotations = { 'org.opencontainers.image.ref.name': 't' }
  await writeFile(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  const manifests = [{ ...manifest, annotations }]
  await writeFile(join(directory, 'index.json'), json({ schemaVersion: 2, manifests }))
}

interface Described {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}
