import { errnoOf, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { createDigester, type Digest, type DigestAlgorithm } from '../../storage/digest.ts'
import type { ObjectKey } from '../../storage/objects/keys.ts'
import type { ObjectStore } from '../../storage/objects/object-store.ts'
import { isDirect } from '../../storage/streams/direct.ts'
import type { BytePace } from './byte-pace.ts'

export interface ReadObjectParts {
  readonly objects: Pick<ObjectStore, 'head' | 'get' | 'ping'>
  readonly pace: BytePace
  /** Told of bytes that were read. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** What the store has under a key, as far as one look shows. */
export type Reading =
  | { readonly kind: 'bytes'; readonly size: number; readonly digests: readonly Digest[] }
  | { readonly kind: 'absent' }
  /** A bad block of a disk: one object's trouble, not the whole store's. */
  | { readonly kind: 'unreadable' }

/**
 * Reads a whole object, unless its size alone shows that it is not the one that is wanted.
 * @param wanted its digests are answered in the order of the algorithms; none for an object of another size.
 * @throws DomainError `unavailable` for a store that does not answer, or contradicts itself.
 */
export async function readObject(
  { objects, pace, onBytes }: ReadObjectParts,
  key: ObjectKey,
  wanted: { readonly size?: number | undefined; readonly algorithms: readonly DigestAlgorithm[] },
  options: Abortable,
): Promise<Reading> {
  try {
    const { size, stream } = await objects.get(key, options)
    if (wanted.size !== undefined && size !== wanted.size) {
      stream.on('error', () => {}).destroy()
      return { kind: 'bytes', size, digests: [] }
    }
    const digesters = wanted.algorithms.map(createDigester)
    let read = 0
    const sink = async (chunk: Uint8Array): Promise<void> => {
      read += chunk.length
      onBytes?.(chunk.length)
      for (const digester of digesters) digester.update(chunk)
      await pace.pass(chunk.length, options)
    }
    if (isDirect(stream)) await stream.copyTo(sink)
    else for await (const chunk of stream as AsyncIterable<Uint8Array>) await sink(chunk)
    options.signal?.throwIfAborted()
    return { kind: 'bytes', size: read, digests: digesters.map(digester => digester.digest()) }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (isDomainError(error, 'not_found')) return await confirmAbsent(objects, key, error, options)
    if (isDomainError(error) && errnoOf(error.cause) === 'EIO') return { kind: 'unreadable' }
    throw error
  }
}

/** As {@link readObject}, by what the store says of the object, without its bytes. */
export async function sizeObject(
  { objects }: Pick<ReadObjectParts, 'objects'>,
  key: ObjectKey,
  options: Abortable,
): Promise<Reading> {
  try {
    return { kind: 'bytes', size: (await objects.head(key, options)).size, digests: [] }
  } catch (error) {
    if (isDomainError(error, 'not_found')) return { kind: 'absent' }
    throw error
  }
}

/** Two questions that a store answers in different ways. @throws what it answered first, where they do not agree. */
async function confirmAbsent(
  objects: ReadObjectParts['objects'],
  key: ObjectKey,
  first: unknown,
  options: Abortable,
): Promise<Reading> {
  const again = await sizeObject({ objects }, key, options)
  if (again.kind === 'absent') return again
  throw first
}
