import assert from 'node:assert/strict'
import { type Digest, digestOf } from '../../src/storage/digest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'
import type { Platform } from '../../src/storage/platform.ts'
import type { RegistryClient } from './registry-client.ts'
import { gzipOf } from './tar.ts'

export interface TestImage {
  /** Uncompressed tars, base first; pushed as gzip. */
  readonly layers: readonly Buffer[]
  readonly platform?: Platform
  /** What the config claims, when it is not the truth. */
  readonly diffIds?: readonly Digest[]
  /** More members of the config. */
  readonly config?: object
}

const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** Pushes a container image and answers the digest of its manifest. */
export async function pushTestImage(
  client: RegistryClient,
  repository: string,
  tag: string,
  { layers, platform = { os: 'linux', architecture: 'amd64' }, diffIds, config }: TestImage,
): Promise<Digest> {
  const configBytes = json({
    ...platform,
    rootfs: { type: 'layers', diff_ids: diffIds ?? layers.map(layer => digestOf(layer)) },
    config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
    ...config,
  })
  const blobs = layers.map(layer => gzipOf(layer))
  for (const blob of [configBytes, ...blobs]) await client.pushBlob(repository, blob)
  return await putManifest(client, repository, tag, mediaTypes.ociManifest, {
    config: descriptor(mediaTypes.ociConfig, configBytes),
    layers: blobs.map(blob => descriptor(gzipLayer, blob)),
  })
}

/** Pushes an index of images that are in the repository already. */
export async function pushTestIndex(
  client: RegistryClient,
  repository: string,
  tag: string,
  images: readonly { readonly digest: Digest; readonly platform: Platform }[],
): Promise<Digest> {
  const manifests = images.map(({ digest, platform }) => ({
    mediaType: mediaTypes.ociManifest,
    digest,
    size: 1,
    platform,
  }))
  return await putManifest(client, repository, tag, mediaTypes.ociIndex, { manifests })
}

async function putManifest(
  client: RegistryClient,
  repository: string,
  tag: string,
  mediaType: string,
  members: object,
): Promise<Digest> {
  const bytes = json({ schemaVersion: 2, mediaType, ...members })
  const { status } = await client.putManifest(repository, tag, bytes, mediaType)
  assert.equal(status, 201)
  return digestOf(bytes)
}

function descriptor(mediaType: string, bytes: Buffer): object {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}
