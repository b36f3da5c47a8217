import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import { dir, file, gzipOf, tar } from './tar.ts'

export interface ServedImage {
  readonly manifest: Buffer
  readonly manifestDigest: Digest
  readonly config: Buffer
  readonly layer: Buffer
  readonly layerDigest: Digest
  /** What a sound registry answers below `/v2/a/`: `manifests/1`, and the blobs by digest. */
  readonly content: ReadonlyMap<string, Buffer>
}

export interface ServedImageParts {
  readonly config?: object
  /** For configs that `JSON.stringify` cannot write. */
  readonly rewriteConfig?: (json: string) => string
  readonly layers?: number
  readonly layerSize?: number
  readonly annotations?: Readonly<Record<string, string>>
}

/** A one-layer image as a registry serves it, with whatever a hostile one would say in it. */
export function servedImage(parts: ServedImageParts = {}): ServedImage {
  const tree = tar(dir('etc'), file('etc/motd', 'hello'))
  const layer = gzipOf(tree)
  const layers = parts.layers ?? 1
  const json = JSON.stringify({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: Array<string>(layers).fill(digestOf(tree)) },
    ...parts.config,
  })
  const config = Buffer.from(parts.rewriteConfig?.(json) ?? json)
  const layerDescriptor = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: digestOf(layer),
    size: parts.layerSize ?? layer.length,
  }
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: Array<object>(layers).fill(layerDescriptor),
      annotations: parts.annotations,
    }),
  )
  const content = new Map([
    ['/v2/a/manifests/1', manifest],
    [`/v2/a/blobs/${digestOf(config)}`, config],
    [`/v2/a/blobs/${digestOf(layer)}`, layer],
  ])
  return {
    manifest,
    manifestDigest: digestOf(manifest),
    config,
    layer,
    layerDigest: digestOf(layer),
    content,
  }
}
