import { randomBytes } from 'node:crypto'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { pushBlob, putManifest } from '../registry/content.ts'
import { timesPerSecond } from '../registry/measure.ts'

/** Images that are to be mirrored: each of these tags in each of these repositories. */
export interface ImageSet {
  readonly repositories: readonly string[]
  readonly tags: readonly string[]
}

export interface Shape {
  readonly repositories: number
  readonly tags: number
  /** Layers that all images share, and layers that each has for itself. Bytes of each. */
  readonly shared: readonly number[]
  readonly own: readonly number[]
}

const pushesAtOnce = 8

/** Pushes images, no two of which are the same. @param name where the names of the repositories begin. */
export async function pushImages(url: string, name: string, shape: Shape): Promise<ImageSet> {
  const shared = shape.shared.map(size => randomBytes(size))
  const images: ImageSet = {
    repositories: Array.from({ length: shape.repositories }, (_, index) => `${name}-${index}`),
    tags: Array.from({ length: shape.tags }, (_, index) => `v1.${index}`),
  }
  const described = new Map<Buffer, Digest>()
  for (const bytes of shared) described.set(bytes, digestOf(bytes))
  for (const repository of images.repositories)
    for (const bytes of shared) await pushBlob(url, repository, bytes)
  await timesPerSecond(shape.repositories * shape.tags, pushesAtOnce, async index => {
    const repository = images.repositories[Math.floor(index / shape.tags)] ?? ''
    const own = shape.own.map(size => randomBytes(size))
    for (const bytes of own) await pushBlob(url, repository, bytes)
    const config = Buffer.from(
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        created: '2026-01-01T00:00:00Z',
        config: { Labels: { image: `${repository} ${index}` } },
        rootfs: { type: 'layers', diff_ids: [] },
      }),
    )
    await pushBlob(url, repository, config)
    const layers = [...shared, ...own].map(bytes => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: described.get(bytes) ?? digestOf(bytes),
      size: bytes.length,
    }))
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers,
    }
    const tag = images.tags[index % shape.tags] ?? ''
    await putManifest(url, repository, tag, Buffer.from(JSON.stringify(manifest)))
  })
  return images
}
