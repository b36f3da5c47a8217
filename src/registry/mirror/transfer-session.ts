import { setTimeout as sleep } from 'node:timers/promises'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BlobInfo, BlobWriter, RepositoryBlobs, UploadId } from '../../storage/blobs/blob-store.ts'
import { algorithmOf } from '../../storage/digest.ts'
import type { TransferRecords } from '../../storage/metadata/transfer-records.ts'
import type { RepositoryName } from '../../storage/reference.ts'

/** In milliseconds. */
export interface TransferTimes {
  /** How long a session is waited for whose writer stores nothing: longer than the lease of one that was killed. */
  readonly waitMs: number
  readonly retryMs: number
  /** The longest pause before a source that broke off is asked again; one that asks for more patience is not. */
  readonly longestPauseMs: number
}

export const defaultTransferTimes: TransferTimes = Object.freeze({
  waitMs: 90_000,
  retryMs: 500,
  longestPauseMs: 30_000,
})

export type TransferBlobs = Pick<RepositoryBlobs, 'create' | 'resume' | 'status' | 'stat'>

/** Where a blob goes. */
export interface TransferPlace {
  readonly repository: RepositoryName
  readonly blobs: TransferBlobs
  readonly records: TransferRecords
  readonly times: TransferTimes
}

/**
 * The session that has part of the blob already, or a new one, which is written down before any byte comes. Undefined when
 * another process has stored the blob meanwhile.
 * @throws DomainError `busy` when another process holds the session and stores nothing.
 */
export async function openTransfer(
  place: TransferPlace,
  blob: BlobInfo,
  { signal }: Abortable,
): Promise<BlobWriter | undefined> {
  const { repository, blobs, records } = place
  const known = await records.findTransfer(repository, blob.digest, { signal })
  if (known !== undefined) {
    const resumed = await resume(place, known, blob, { signal })
    if (resumed === 'stored') return undefined
    if (resumed !== 'lost') return resumed
  }
  const writer = await blobs.create({ algorithm: algorithmOf(blob.digest), signal })
  try {
    await records.noteTransfer(repository, blob.digest, writer.id, { signal })
    return writer
  } catch (error) {
    await drop(writer)
    throw error
  }
}

async function resume(
  { blobs, times }: TransferPlace,
  id: UploadId,
  blob: BlobInfo,
  { signal }: Abortable,
): Promise<BlobWriter | 'stored' | 'lost'> {
  let lastSeen = -1
  for (let waited = 0; ; waited += times.retryMs) {
    try {
      const writer = await blobs.resume(id, { signal })
      if (writer.offset <= blob.size) return writer
      await drop(writer)
      return 'lost'
    } catch (error) {
      if (isDomainError(error, 'not_found')) return 'lost'
      if (!isDomainError(error, 'busy')) throw error
    }
    if (await has(blobs, blob, { signal })) return 'stored'
    const offset = await offsetOf(blobs, id, { signal })
    if (offset !== lastSeen) waited = 0
    lastSeen = offset
    if (waited >= times.waitMs) throw busy(blob)
    await sleep(times.retryMs, undefined, { signal }).catch(() => signal?.throwIfAborted())
  }
}

/** As the last writer has saved it; 0 when it has become something else since. */
async function offsetOf(blobs: TransferBlobs, id: UploadId, options: Abortable): Promise<number> {
  try {
    return (await blobs.status(id, options)).offset
  } catch (error) {
    if (isDomainError(error, 'not_found')) return 0
    throw error
  }
}

/** Whether the repository has the blob. @throws DomainError `size_mismatch` when it is of another size. */
export async function has(
  blobs: Pick<RepositoryBlobs, 'stat'>,
  { digest, size }: BlobInfo,
  options: Abortable,
): Promise<boolean> {
  try {
    assertSize(await blobs.stat(digest, { signal: options.signal }), size)
    return true
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}

/** Who says that a blob has another size than it has would have a manifest stored that lies. */
export function assertSize({ digest, size }: BlobInfo, announced: number): void {
  if (size === announced) return
  throw new DomainError(
    'size_mismatch',
    `The blob ${digest} has ${size} bytes, not the ${announced} that were announced.`,
    { resource: 'blob', name: digest },
  )
}

async function drop(writer: BlobWriter): Promise<void> {
  try {
    await writer.cancel()
    await writer[Symbol.asyncDispose]()
  } catch (error) {
    // What cannot be dropped now expires.
    if (!isDomainError(error)) throw error
  }
}

function busy({ digest }: BlobInfo): DomainError {
  return new DomainError(
    'busy',
    `Another process is storing the blob ${digest}, and gets no further; try again when it is done.`,
    { resource: 'blob', name: digest },
  )
}
