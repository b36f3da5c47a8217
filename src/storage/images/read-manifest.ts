import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { algorithmOf, type Digest, digestOf } from '../digest.ts'
import type { StoredManifest } from '../metadata/manifest-records.ts'
import type { ReadableRepository } from './image-repository.ts'

export interface WantedManifest {
  readonly digest: Digest
  /** Bytes, as whoever names it says. */
  readonly size: number
}

/** @throws DomainError as `get` does; `digest_mismatch`, `size_mismatch` for other bytes than those that were named. */
export async function readManifest(
  repository: ReadableRepository,
  { digest, size }: WantedManifest,
  options: Abortable,
): Promise<StoredManifest> {
  const stored = await repository.get({ kind: 'digest', digest }, options)
  const actual = digestOf(stored.bytes, algorithmOf(digest))
  if (actual !== digest)
    throw new DomainError(
      'digest_mismatch',
      `${repository.label} gives other bytes (${actual}) for the manifest ${digest}.`,
      { resource: 'manifest', name: digest },
    )
  throwUnlessSize(repository, { digest, size }, stored.bytes.length)
  return { ...stored, digest, size }
}

/** @throws DomainError `size_mismatch`. */
export function throwUnlessSize(
  { label }: ReadableRepository,
  { digest, size }: WantedManifest,
  actual: number,
): void {
  if (actual !== size)
    throw new DomainError(
      'size_mismatch',
      `The manifest ${digest} of ${label} has ${actual} bytes, where what names it says ${size}.`,
      { resource: 'manifest', name: digest },
    )
}
