import { DomainError } from '../../errors.ts'
import { digestOf, hexOf } from '../digest.ts'
import type { ObjectKey } from './keys.ts'
import type { UploadedPart } from './object-store.ts'

/**
 * Bytes of the object that the parts make together.
 *
 * @throws DomainError `invalid` unless the parts are numbered 1, 2, 3 … and all but the last have exactly
 * `partSize` bytes.
 */
export function sizeOfParts(key: ObjectKey, parts: readonly UploadedPart[], partSize: number): number {
  if (parts.length === 0) throw invalidPart(key, 'no part was named')
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1
    if (part.number !== index + 1)
      throw invalidPart(key, `part ${part.number} was named where part ${index + 1} was expected`)
    if (isLast ? part.size > partSize : part.size !== partSize)
      throw invalidPart(key, `part ${part.number} has ${part.size} bytes where a part has ${partSize}`)
  }
  return (parts.length - 1) * partSize + (parts.at(-1)?.size ?? 0)
}

/** @throws DomainError `invalid` for a part that no list of parts could hold. */
export function checkPart(key: ObjectKey, number: number, size: number, partSize: number): void {
  if (!Number.isSafeInteger(number) || number < 1) throw invalidPart(key, `${number} is not a part number`)
  if (size > partSize)
    throw invalidPart(key, `part ${number} has ${size} bytes, more than the ${partSize} of a part`)
}

/**
 * A name for a part that nobody can give who was not told: naming it in `complete` proves that the part was stored,
 * without a list of parts on the disk, which each part would have to be synced with.
 */
export function etagOfPart(key: ObjectKey, number: number, size: number): string {
  return hexOf(digestOf(Buffer.from(`${key} ${number} ${size}`))).slice(0, 32)
}

/** @throws DomainError `invalid` for a part whose name {@link etagOfPart} did not make. */
export function checkEtags(key: ObjectKey, parts: readonly UploadedPart[]): void {
  for (const { number, size, etag } of parts)
    if (etag !== etagOfPart(key, number, size))
      throw invalidPart(key, `part ${number} was never sent with ${size} bytes`)
}

export function uploadGone(key: string, cause?: unknown): DomainError {
  return new DomainError(
    'not_found',
    `The multipart upload of the object ${key} is gone; begin a new one.`,
    { resource: 'object', name: key },
    { cause },
  )
}

function invalidPart(key: ObjectKey, why: string): DomainError {
  return new DomainError('invalid', `The object ${key} cannot be put together: ${why}.`, {
    resource: 'object',
    name: key,
  })
}
