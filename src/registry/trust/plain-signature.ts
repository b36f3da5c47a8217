import type { Abortable } from '../../storage/abortable.ts'
import { parseManifest } from '../../storage/manifest.ts'
import type { RepositoryName } from '../../storage/reference.ts'
import { trustLimits } from './limits.ts'
import type { SignedImage } from './signature.ts'
import type { SignatureReader } from './signature-reader.ts'

/** What signatures and attestations are kept as. All of these are JSON. */
const layerTypes: ReadonlySet<string> = new Set([
  'application/vnd.dev.cosign.simplesigning.v1+json',
  'application/vnd.dsse.envelope.v1+json',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
  'application/jose+json',
])

/**
 * Whether a manifest holds signatures and nothing else, so that whoever wants to verify an image can have it though
 * nobody has signed it. Types alone are no proof: some clients run whatever the layers are said to be. So each layer
 * has to be a JSON document, which no archive is.
 */
export async function isPlainSignature(
  reader: SignatureReader,
  repository: RepositoryName,
  { bytes, mediaType, size }: SignedImage,
  options?: Abortable,
): Promise<boolean> {
  if (size > trustLimits.signatureBytes) return false
  const manifest = parseManifest(bytes, mediaType)
  if (manifest.kind !== 'image') return false
  const { layers } = manifest
  if (layers.length === 0 || layers.length > trustLimits.signatures) return false
  if (!layers.every(layer => layerTypes.has(layer.mediaType))) return false
  for (const { digest } of layers) {
    const content = await reader.bytesOf(repository, digest, options)
    if (typeof content === 'string' || !isJson(content)) return false
  }
  return true
}

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}
