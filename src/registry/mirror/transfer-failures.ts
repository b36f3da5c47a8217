import { DomainError, isDomainError } from '../../errors.ts'
import type { BlobInfo } from '../../storage/blobs/blob-store.ts'
import type { RepositoryName } from '../../storage/reference.ts'

/** Whether the source ended before all had come. */
export function isShort(error: unknown): boolean {
  return isDomainError(error, 'size_mismatch') && error.details.resource === 'upload'
}

export function tooLong({ digest, size }: BlobInfo): DomainError {
  return new DomainError(
    'size_mismatch',
    `The source has more bytes of the blob ${digest} than the ${size} that were announced.`,
    { resource: 'blob', name: digest },
  )
}

/** The session is nobody's business. */
export function asSeenFromOutside(
  cause: unknown,
  { digest, size }: BlobInfo,
  repository: RepositoryName,
): unknown {
  const details = { resource: 'blob', name: digest } as const
  if (isShort(cause))
    return new DomainError(
      'size_mismatch',
      `The source has fewer bytes of the blob ${digest} than the ${size} that were announced.`,
      details,
      { cause },
    )
  if (isDomainError(cause, 'digest_mismatch'))
    return new DomainError(
      'digest_mismatch',
      `The source sent other bytes for the blob ${digest} of ${repository}; nothing of them was kept.`,
      details,
      { cause },
    )
  return cause
}
