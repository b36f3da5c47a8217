import { DomainError } from '../../errors.ts'
import { type Digest, digestOf, hexOf } from '../../storage/digest.ts'

/** Lower-case hex, 8-4-4-4-12. Of no RFC 4122 version: Triton sets no version and no variant bits. */
export type ImageUuid = string & { readonly __brand: 'ImageUuid' }

/**
 * The UUID that Triton gives to a chain of layers: the first half of the SHA-256 of their blobs' digests, base first, a
 * space between two. The same layers compressed anew are another image to Triton, unlike to their chain ID.
 * Source: Triton RFD 57.
 */
export function imageUuidOf(blobs: readonly Digest[]): ImageUuid {
  if (blobs.length === 0) throw new Error('an image without layers has no UUID')
  const hex = hexOf(digestOf(Buffer.from(blobs.join(' '))))
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)]
  return groups.join('-') as ImageUuid
}

const pattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether the text is a UUID as Triton writes it. */
export function isImageUuid(text: string): text is ImageUuid {
  return pattern.test(text)
}

/** @throws DomainError `invalid`. */
export function parseImageUuid(text: string): ImageUuid {
  if (isImageUuid(text)) return text
  throw new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 64))} is not the UUID of an image; it has 32 lower-case hex digits, as in 9f447b1b-473d-3598-84f2-b8541a1ad0b7.`,
    { resource: 'image', name: text },
  )
}
