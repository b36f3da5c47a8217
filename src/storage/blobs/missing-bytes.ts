import { DomainError } from '../../errors.ts'
import type { Digest } from '../digest.ts'

/** A blob that is known, and whose object is not there or too short: the store's failure, not the reader's. */
export function missingBytes(digest: Digest, cause?: DomainError): DomainError {
  return new DomainError(
    'unavailable',
    `The object store does not have the bytes of the blob ${digest}; look at the store if that goes on.`,
    { resource: 'blob', name: digest },
    { cause },
  )
}

/** For whoever has pushed the blob, when what was stored earlier is what is gone. */
export function missingBytesOfOld(digest: Digest): DomainError {
  return new DomainError(
    'unavailable',
    `The blob ${digest} was stored before, and the object store does not have those bytes any more; push it again in a moment, which brings them back.`,
    { resource: 'blob', name: digest },
  )
}
