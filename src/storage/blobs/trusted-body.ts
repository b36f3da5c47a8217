import { pipeline } from 'node:stream'
import { DomainError } from '../../errors.ts'
import { VerifyStream } from '../streams/verify.ts'
import type { BlobBody } from './blob-store.ts'

export interface TrustOptions {
  /** Bytes of the object, as the store says. */
  readonly storedSize: number
  /** Whether the body is the whole blob, and to be checked. */
  readonly verifies: boolean
}

/**
 * The same bytes. When they are checked, the last ones come only if all are the blob's, so that whoever knows the size
 * never takes others for it. They fail with `unavailable`: it is not the reader who made the mistake.
 *
 * @throws DomainError `unavailable` when the object has another size.
 */
export function trustedBody(
  { digest, size, stream }: BlobBody,
  { storedSize, verifies }: TrustOptions,
): BlobBody {
  const asFailure = (cause?: DomainError) =>
    new DomainError(
      'unavailable',
      `The object store does not give the bytes of the blob ${digest} as they were stored; look at the store if that goes on.`,
      { resource: 'blob', name: digest },
      { cause },
    )
  if (storedSize !== size) {
    stream.on('error', () => {}).destroy()
    throw asFailure()
  }
  if (!verifies) return { digest, size, stream }
  const verified = new VerifyStream({ digest, size, what: { resource: 'blob', name: digest }, asFailure })
  return { digest, size, stream: pipeline(stream, verified, () => {}) }
}
