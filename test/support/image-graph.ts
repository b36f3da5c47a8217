import { type Digest, type DigestAlgorithm, digestOf } from '../../src/storage/digest.ts'
import { isManifestMediaType, mediaTypes } from '../../src/storage/media-types.ts'
import type { StoredManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Platform } from '../../src/storage/platform.ts'

/** A manifest as a registry has it; of the type that its `mediaType` says. */
export function storedManifest(
  document: { readonly mediaType: string } & Record<string, unknown>,
  algorithm: DigestAlgorithm = 'sha256',
): StoredManifest {
  const { mediaType } = document
  if (!isManifestMediaType(mediaType)) throw new Error(`${mediaType} is no manifest's type`)
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...document }))
  return { digest: digestOf(bytes, algorithm), mediaType, size: bytes.length, bytes }
}

/** What to make images of, before their digests are known. */
export interface ImagePlan {
  /** What the layers are made of; the same text is the same blob. */
  readonly layers: readonly string[]
  readonly config?: string
  readonly subject?: StoredManifest
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface IndexEntry {
  readonly child: Pick<StoredManifest, 'digest' | 'mediaType' | 'size'>
  readonly platform?: Platform
  readonly annotations?: Readonly<Record<string, string>>
}

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** Manifests and blobs, by digest: what a place may have of images. */
export class ImageGraph {
  readonly manifests = new Map<Digest, StoredManifest>()
  readonly blobs = new Map<Digest, Buffer>()

  image({ layers, config = '{}', subject, artifactType, annotations }: ImagePlan): StoredManifest {
    return this.add({
      mediaType: mediaTypes.ociManifest,
      config: this.blob(config, mediaTypes.ociConfig),
      layers: layers.map(layer => this.blob(layer, layerType)),
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
    })
  }

  index(entries: readonly IndexEntry[], more: object = {}): StoredManifest {
    return this.add({
      mediaType: mediaTypes.ociIndex,
      manifests: entries.map(({ child, ...said }) => ({ ...descriptorOf(child), ...said })),
      ...more,
    })
  }

  add(document: { readonly mediaType: string } & Record<string, unknown>): StoredManifest {
    const manifest = storedManifest(document)
    this.manifests.set(manifest.digest, manifest)
    return manifest
  }

  blob(content: string, mediaType: string): { mediaType: string; digest: Digest; size: number } {
    const bytes = Buffer.from(content)
    const digest = digestOf(bytes)
    this.blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }
}

function descriptorOf({ mediaType, digest, size }: IndexEntry['child']) {
  return { mediaType, digest, size }
}
