import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../errors.ts'
import { backoffMs } from '../../storage/backoff.ts'
import type { BlobInfo, BlobWriter } from '../../storage/blobs/blob-store.ts'
import type { OpenBlobFrom, PutBlobOptions } from '../../storage/images/image-repository.ts'
import type { Requester } from '../../storage/requester.ts'
import { PacedStream } from '../../storage/streams/paced-stream.ts'
import { asSeenFromOutside, isShort, tooLong } from './transfer-failures.ts'
import { openTransfer, type TransferPlace, type TransferTimes } from './transfer-session.ts'

export interface TransferTarget extends TransferPlace {
  /** Who brings it; undefined: nobody from outside. */
  readonly by: Requester | undefined
}

/** How often a source that breaks off is asked again. */
const maxFailures = 4

/**
 * Stores a blob, and goes on where whoever began it stopped: in this process or in one that was killed.
 * @throws DomainError `digest_mismatch`, `size_mismatch`: the session is gone then; `busy`; what the source and the stores
 * throw: what has come is kept then.
 */
export async function transferBlob(
  target: TransferTarget,
  blob: BlobInfo,
  open: OpenBlobFrom,
  options: PutBlobOptions = {},
): Promise<void> {
  for (let isFirst = true; ; isFirst = false) {
    const writer = await openTransfer(target, blob, options)
    if (writer === undefined) break
    const kept = writer.offset
    try {
      await fill(writer, blob, open, { ...options, kept, longestPauseMs: target.times.longestPauseMs })
      await writer.commit({ ...blob, by: target.by, signal: options.signal })
      await forget(target, blob)
      break
    } catch (error) {
      const isStale = await isOfNoUse(target, blob, writer, error)
      // What was stored before may be at fault, or be gone; without it the source alone is.
      if (isStale && isFirst && (kept > 0 || !isDomainError(error, 'digest_mismatch'))) continue
      throw asSeenFromOutside(error, blob, target.repository)
    } finally {
      await release(writer)
    }
  }
}

interface FillOptions extends PutBlobOptions, Pick<TransferTimes, 'longestPauseMs'> {
  /** Bytes that were there before. */
  readonly kept: number
}

async function fill(
  writer: BlobWriter,
  blob: BlobInfo,
  open: OpenBlobFrom,
  options: FillOptions,
): Promise<void> {
  if (writer.committed !== undefined) return
  options.onStored?.(writer.offset, { kept: writer.offset })
  for (let failures = 0; writer.offset < blob.size; ) {
    try {
      await append(writer, blob, open, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      failures += 1
      if (failures > maxFailures || !isWorthAnother(error)) throw error
      await pause(error, failures, options)
    }
  }
}

async function append(
  writer: BlobWriter,
  blob: BlobInfo,
  open: OpenBlobFrom,
  { signal, onStored, kept }: FillOptions,
): Promise<void> {
  const length = blob.size - writer.offset
  let come = writer.offset
  const counted = new PacedStream(
    await open(writer.offset, { signal }),
    {
      sliceBytes: Number.POSITIVE_INFINITY,
      pass: async bytes => {
        come += bytes
        if (come > blob.size) throw tooLong(blob)
        onStored?.(come, { kept })
      },
    },
    { owns: true },
  )
  try {
    await writer.write(counted, { length, signal })
  } finally {
    counted.destroy()
  }
}

/** What breaks off, or ends too early, may come whole the next time. */
function isWorthAnother(error: unknown): boolean {
  return isDomainError(error, 'unavailable') || isShort(error)
}

async function pause(
  error: unknown,
  failures: number,
  { longestPauseMs, signal }: Pick<FillOptions, 'longestPauseMs' | 'signal'>,
): Promise<void> {
  const askedMs = isDomainError(error) ? 1000 * (error.details.retryAfterSeconds ?? 0) : 0
  // It asks for more patience than one who holds a session should have.
  if (askedMs > longestPauseMs) throw error
  await sleep(backoffMs(failures, longestPauseMs, askedMs), undefined, { signal }).catch(() =>
    signal?.throwIfAborted(),
  )
}

/** Whether another attempt has to begin with another session, or another look at this one; drops what nobody needs. */
async function isOfNoUse(
  target: TransferTarget,
  blob: BlobInfo,
  writer: BlobWriter,
  error: unknown,
): Promise<boolean> {
  if (!isDomainError(error)) return false
  const { code, details } = error
  // Somebody took it over while this process stood still.
  if (code === 'conflict' && details.resource === 'upload') return true
  // It has expired; or what it had become was unlinked, and then the source has not been asked for anything.
  const isGone = code === 'not_found' && (details.resource === 'upload' || writer.committed !== undefined)
  const isWrong = code === 'digest_mismatch' || code === 'size_mismatch'
  // Whoever finds that out before the store does has not ended the session.
  if (isWrong) await writer.cancel().catch(ignoreDomainError)
  if (isGone || isWrong) await forget(target, blob)
  return isGone || code === 'digest_mismatch'
}

/** Not for a caller that has gone either: what is wrong would be found again. */
async function forget({ records, repository }: TransferTarget, { digest }: BlobInfo): Promise<void> {
  await records.forgetTransfer(repository, digest).catch(ignoreDomainError)
}

/** What cannot be given back now runs out. */
async function release(writer: BlobWriter): Promise<void> {
  try {
    await writer[Symbol.asyncDispose]()
  } catch (error) {
    ignoreDomainError(error)
  }
}

function ignoreDomainError(error: unknown): void {
  if (!isDomainError(error)) throw error
}
