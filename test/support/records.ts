import { randomUUID } from 'node:crypto'
import type { UploadId } from '../../src/storage/blobs/blob-store.ts'
import { newUploadId } from '../../src/storage/blobs/upload-id.ts'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import {
  edgesOf,
  type ManifestEdge,
  parseManifest,
  type RequiredReferences,
} from '../../src/storage/manifest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import type { StoredBlob } from '../../src/storage/metadata/blob-records.ts'
import type { NewManifest } from '../../src/storage/metadata/manifest-records.ts'
import type { Metadata } from '../../src/storage/metadata/metadata.ts'
import type { NewUpload } from '../../src/storage/metadata/upload-records.ts'
import { newObjectKey } from '../../src/storage/objects/keys.ts'
import { parseRepositoryName, parseTag, type RepositoryName } from '../../src/storage/reference.ts'

/** A name that no other test uses. */
export function freshRepository(): RepositoryName {
  return parseRepositoryName(`test/${randomUUID()}`)
}

export function descriptorOf(digest: Digest, size = 1, mediaType: string = mediaTypes.ociConfig) {
  return { mediaType, digest, size }
}

export interface ManifestParts {
  readonly config?: Digest
  readonly layers?: readonly Digest[]
  readonly subject?: Digest
  readonly annotations?: Readonly<Record<string, string>>
  readonly tags?: readonly string[]
}

/** An image manifest as a push would store it. */
export function imageManifest({ tags = [], ...parts }: ManifestParts = {}): NewManifest {
  const { config = digestOf(Buffer.from('{}')), layers = [], subject, annotations } = parts
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: descriptorOf(config, 2),
      layers: layers.map(layer => descriptorOf(layer, 10, 'application/vnd.oci.image.layer.v1.tar+gzip')),
      subject: subject && descriptorOf(subject, 20, mediaTypes.ociManifest),
      annotations,
    }),
  )
  return stored(bytes, edgesOf(parseManifest(bytes)), tags)
}

/** An index of manifests, under a rule of what must be there. */
export function indexOf(children: readonly Digest[], required: RequiredReferences): NewManifest {
  const manifests = children.map(child => descriptorOf(child, 30, mediaTypes.ociManifest))
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  return { ...stored(bytes, edgesOf(parseManifest(bytes), required), []), mediaType: mediaTypes.ociIndex }
}

/** A manifest without any required edge, distinct by its text. */
export function looseManifest(text: string, ...tags: readonly string[]): NewManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { text } }))
  return { ...stored(bytes, [], tags), mediaType: mediaTypes.ociIndex }
}

function stored(bytes: Buffer, edges: readonly ManifestEdge[], tags: readonly string[]): NewManifest {
  return {
    digest: digestOf(bytes),
    mediaType: mediaTypes.ociManifest,
    size: bytes.length,
    bytes,
    edges,
    tags: tags.map(parseTag),
  }
}

export function newUpload(repository: RepositoryName, now: number, change?: Partial<NewUpload>): NewUpload {
  return {
    id: newUploadId(),
    repository,
    algorithm: 'sha256',
    objectKey: newObjectKey(),
    partSize: 1024,
    nextTailKey: newObjectKey(),
    holder: 'holder',
    leaseUntil: new Date(now + 60_000),
    expiresAt: new Date(now + 3_600_000),
    ...change,
  }
}

/** A blob that is known and linked, as after an upload. */
export async function commitText(
  metadata: Metadata,
  repository: RepositoryName,
  text: string,
  now: number,
): Promise<StoredBlob & { readonly uploadId: UploadId }> {
  const { id, holder, objectKey } = newUpload(repository, now)
  await metadata.createUpload(newUpload(repository, now, { id, objectKey }))
  const digest = digestOf(Buffer.from(text))
  const stored = await metadata.commitBlob({
    digest,
    size: text.length,
    objectKey,
    repository,
    uploadId: id,
    holder,
  })
  return { ...stored, uploadId: id }
}
