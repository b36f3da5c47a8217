import { DomainError } from '../../errors.ts'
import { algorithmOf, type Digest, digestOf } from '../digest.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../manifest.ts'
import type { NewManifest } from '../metadata/manifest-records.ts'

export interface AdoptableManifest {
  /** As a push would store it, but that nothing need be there. */
  readonly manifest: NewManifest
  /** What a push would have been refused without. */
  readonly needs: readonly Digest[]
  /** Those of an index. */
  readonly children: readonly Digest[]
}

/**
 * What the bytes that another registry has under this digest are. Their type is what they say themselves, or else their
 * shape: the old registry keeps no other record of it.
 *
 * @throws DomainError `digest_mismatch`, `unsupported` for schema 1, `invalid`.
 */
export function readManifest(digest: Digest, bytes: Uint8Array): AdoptableManifest {
  const actual = digestOf(bytes, algorithmOf(digest))
  if (actual !== digest)
    throw new DomainError('digest_mismatch', `The bytes of the manifest ${digest} are ${actual}.`, {
      resource: 'manifest',
      name: digest,
    })
  if (isSchema1(bytes))
    throw new DomainError(
      'unsupported',
      `The manifest ${digest} is of Docker's schema 1, which no current client takes; push the image again.`,
      { resource: 'manifest', name: digest },
    )
  const manifest = parseManifest(bytes)
  return {
    manifest: {
      digest,
      mediaType: manifest.mediaType,
      size: bytes.length,
      bytes,
      edges: edgesOf(manifest, 'none'),
      artifactType: artifactTypeOf(manifest),
      annotations: manifest.annotations,
      tags: [],
    },
    needs: edgesOf(manifest, 'blobs')
      .filter(edge => edge.required)
      .map(edge => edge.descriptor.digest),
    children: manifest.kind === 'index' ? manifest.manifests.map(child => child.digest) : [],
  }
}

/** With or without signatures: all that both have in common is the number. */
function isSchema1(bytes: Uint8Array): boolean {
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes).toString())
    return typeof json === 'object' && json !== null && 'schemaVersion' in json && json.schemaVersion === 1
  } catch {
    return false
  }
}
