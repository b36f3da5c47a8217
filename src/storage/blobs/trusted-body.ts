import { pipeline, type Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { DigestThread } from '../streams/digest-thread.ts'
import { isDirect } from '../streams/direct.ts'
import { DirectVerifyStream } from '../streams/direct-verify.ts'
import { type VerifyOptions, VerifyStream } from '../streams/verify.ts'
import type { BlobBody } from './blob-store.ts'

export interface TrustOptions {
  /** Bytes of the object, as the store says. */
  readonly storedSize: number
  /** Whether the body is the whole blob, and to be checked. */
  readonly verifies: boolean
  /** Told when they are not the blob's. */
  readonly onDamaged?: (() => void) | undefined
  /** Where large bodies are checked; here unless given. */
  readonly thread?: DigestThread | undefined
}

/** The whole of a smaller blob may be in the first chunk: piped, it fails before its first byte has been sent. */
const directFromBytes = 256 * 1024

/**
 * The same bytes. When they are checked, the last ones come only if all are the blob's, so that whoever knows the size
 * never takes others for it. They fail with `unavailable`: it is not the reader who made the mistake.
 *
 * @throws DomainError `unavailable` when the object has another size.
 */
export function trustedBody(
  { digest, size, stream }: BlobBody,
  { storedSize, verifies, onDamaged, thread }: TrustOptions,
): BlobBody {
  const what = { resource: 'blob', name: digest } as const
  const asFailure = (cause?: DomainError) => {
    onDamaged?.()
    return new DomainError(
      'unavailable',
      `The object store does not give the bytes of the blob ${digest} as they were stored; look at the store if that goes on.`,
      what,
      { cause },
    )
  }
  if (storedSize !== size) {
    stream.on('error', () => {}).destroy()
    throw asFailure()
  }
  const expected = { digest, size, what, asFailure }
  return { digest, size, stream: verifies ? verified(stream, expected, thread) : stream }
}

function verified(
  stream: Readable,
  expected: VerifyOptions & { readonly size: number },
  thread: DigestThread | undefined,
): Readable {
  if (isDirect(stream) && expected.size >= directFromBytes)
    return new DirectVerifyStream(stream, expected, thread)
  return pipeline(stream, new VerifyStream(expected), () => {})
}
