import type { Readable } from 'node:stream'
import type { Abortable } from '../../../storage/abortable.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { fetchFailure } from './fetch-failure.ts'
import type { GrowingBlob } from './growing-blob.ts'
import { upstreamBytes } from './upstream-bytes.ts'
import { verifiedBytes } from './verified-bytes.ts'

export interface GrowOptions extends Abortable {
  /** Opened already, from the first byte on. Owned from here on. */
  readonly body?: Readable | undefined
  readonly retries: number
  readonly onBytes?: ((count: number) => void) | undefined
}

/**
 * Fetches the blob into its growing copy, from its first byte to its last, which is there only when the digest is right.
 * Readers learn of what goes wrong, as clients are told; the answer is what has.
 */
export async function grow(
  growing: GrowingBlob,
  at: UpstreamRepository,
  { body, retries, onBytes, signal }: GrowOptions,
): Promise<{ readonly failure: unknown } | undefined> {
  const { blob } = growing
  try {
    signal?.throwIfAborted()
    const bytes = upstreamBytes(at, blob, { from: 0, body, retries, onBytes, signal })
    for await (const chunk of verifiedBytes(bytes, blob)) await growing.append(chunk, { signal })
    growing.complete()
    return undefined
  } catch (failure) {
    growing.fail(fetchFailure(failure, at, blob.digest))
    return { failure }
  } finally {
    body?.destroy()
  }
}
