import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import { Verification } from '../../../storage/streams/verification.ts'

/**
 * The blob from its first byte on. What has the last byte in it is given only when all bytes are the promised ones, so
 * nobody who is sent a wrong blob ever has as many bytes as were announced.
 *
 * @throws DomainError `size_mismatch`, `digest_mismatch`.
 */
export async function* verifiedBytes(
  bytes: AsyncIterable<Uint8Array>,
  { digest, size }: BlobInfo,
): AsyncGenerator<Uint8Array, void> {
  const verification = new Verification({ digest, size, what: { resource: 'blob', name: digest } })
  for await (const chunk of bytes) {
    const mismatch = verification.update(chunk)
    if (mismatch !== null) throw mismatch
    yield chunk
  }
  const mismatch = verification.end()
  if (mismatch !== null) throw mismatch
}
