import { DomainError, errnoOf, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf, createDigester, type Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'

/**
 * Reads a whole object and answers its size in bytes.
 * @throws DomainError `digest_mismatch`, `not_found`; `invalid` when the disk cannot read it.
 */
export async function verifyObject(
  objects: ObjectStore,
  key: ObjectKey,
  digest: Digest,
  options?: Abortable,
): Promise<number> {
  const { size, actual } = await digestOfObject(objects, key, digest, options)
  if (actual === digest) return size
  throw new DomainError('digest_mismatch', `The bytes of the blob ${digest} are ${actual}.`, {
    resource: 'blob',
    name: digest,
  })
}

async function digestOfObject(
  objects: ObjectStore,
  key: ObjectKey,
  digest: Digest,
  options?: Abortable,
): Promise<{ readonly size: number; readonly actual: Digest }> {
  const digester = createDigester(algorithmOf(digest))
  try {
    const { size, stream } = await objects.get(key, options)
    for await (const chunk of stream as AsyncIterable<Uint8Array>) digester.update(chunk)
    return { size, actual: digester.digest() }
  } catch (error) {
    // A bad block is one blob's trouble, not the whole store's.
    if (!isDomainError(error, 'unavailable') || errnoOf(error.cause) !== 'EIO') throw error
    throw new DomainError(
      'invalid',
      `The bytes of the blob ${digest} cannot be read (EIO).`,
      { resource: 'blob', name: digest },
      { cause: error },
    )
  }
}
