import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import { backoffMs } from '../../../storage/backoff.ts'
import type { BlobBody, BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { UpstreamRepository } from '../upstream.ts'
import { worthwhileBytes } from './settings.ts'

export interface UpstreamBytesOptions extends Abortable {
  /** The first byte that is wanted. */
  readonly from: number
  /** A body that has been opened already, at `from`. Owned from here on. */
  readonly body?: Readable | undefined
  readonly retries: number
  readonly onBytes?: ((count: number) => void) | undefined
}

/** The longest pause before another try. */
const maxPauseMs = 10_000

/**
 * The blob's bytes from `from` to its end, not verified. What breaks off is asked for again from there. It never gives
 * more than the blob's size, but may give what is not the blob.
 *
 * @throws DomainError `unavailable`, or as upstream answers.
 */
export async function* upstreamBytes(
  at: UpstreamRepository,
  blob: BlobInfo,
  { from, body, retries, onBytes, signal }: UpstreamBytesOptions,
): AsyncGenerator<Uint8Array, void> {
  let position = from
  let opened = body
  let failures = 0
  while (position < blob.size || opened !== undefined) {
    const begun = position
    try {
      opened ??= (await openUpstream(at, blob, position, { signal })).stream
      for await (const chunk of opened as AsyncIterable<Uint8Array>) {
        position += chunk.length
        onBytes?.(chunk.length)
        if (position > blob.size) throw tooLong(at, blob)
        yield chunk
      }
      if (position === blob.size) return
      throw brokenOff(at, blob, position)
    } catch (error) {
      opened?.destroy()
      opened = undefined
      signal?.throwIfAborted()
      failures = position - begun >= worthwhileBytes ? 1 : failures + 1
      if (failures > retries || !mayBeBetter(error)) throw error
      await sleep(backoffMs(failures, maxPauseMs, askedMs(error)), undefined, { signal })
    }
  }
}

/** The body from a byte on, of a blob that still has the size that it had. */
async function openUpstream(
  { upstream, source }: UpstreamRepository,
  blob: BlobInfo,
  from: number,
  options: Abortable,
): Promise<BlobBody> {
  const range = from === 0 ? undefined : { first: from, last: blob.size - 1 }
  const body = await upstream.ask(aborts => source.openBlob(blob.digest, { range, ...aborts }), options)
  if (body.size === blob.size) return body
  body.stream.destroy()
  throw new DomainError(
    'size_mismatch',
    `${source.label} says that the blob ${blob.digest} has ${body.size} bytes, and said ${blob.size} before.`,
    { resource: 'blob', name: blob.digest },
  )
}

/** Broken connections are no DomainErrors everywhere. */
function mayBeBetter(error: unknown): boolean {
  return !isDomainError(error) || isDomainError(error, 'unavailable')
}

function askedMs(error: unknown): number {
  return isDomainError(error) ? (error.details.retryAfterSeconds ?? 0) * 1000 : 0
}

function brokenOff(
  { source }: UpstreamRepository,
  { digest, size }: BlobInfo,
  position: number,
): DomainError {
  return new DomainError(
    'unavailable',
    `${source.label} has sent ${position} of the ${size} bytes of the blob ${digest}, and no more.`,
    { resource: 'blob', name: digest },
  )
}

function tooLong({ source }: UpstreamRepository, { digest, size }: BlobInfo): DomainError {
  return new DomainError(
    'size_mismatch',
    `${source.label} sends more than the ${size} bytes that it has promised of the blob ${digest}.`,
    { resource: 'blob', name: digest },
  )
}
