import { type DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { UploadRecord } from '../metadata/metadata.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'
import { deleteUploadBytes } from './upload-bytes.ts'

/** What one sweep did. */
export interface SweepReport {
  /** Sessions that expired, tombstones included. */
  readonly sessions: number
  /** Objects that nothing named any more. */
  readonly objects: number
  /** What is left to the next sweep, and why. */
  readonly failures: readonly DomainError[]
}

/** How much one sweep takes on at most, of each kind. */
const batch = 1000

/**
 * Deletes expired sessions with their bytes, then objects that the metadata has let go of. Each deletion stands by
 * itself; what fails is tried again next time.
 */
export async function sweepUploads(
  parts: BlobStoreParts,
  now: Date,
  options?: Abortable,
): Promise<SweepReport> {
  const failures: DomainError[] = []
  let sessions = 0
  for (const record of await parts.metadata.expiredUploads(now, batch, options)) {
    options?.signal?.throwIfAborted()
    if (await succeeds(() => dropSession(parts, record), failures)) sessions += 1
  }
  const garbage = await parts.metadata.listGarbage(batch, options)
  const dropGarbage = async () => {
    await parts.objects.delete(garbage, options)
    await parts.metadata.forgetGarbage(garbage, options)
  }
  const objects = (await succeeds(dropGarbage, failures)) ? garbage.length : 0
  return { sessions, objects, failures }
}

async function dropSession(parts: BlobStoreParts, record: UploadRecord): Promise<void> {
  // A tombstone's object is the blob's.
  if (record.committed === null) await deleteUploadBytes(parts, record)
  await parts.metadata.deleteUpload(record.id)
}

async function succeeds(work: () => Promise<void>, failures: DomainError[]): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!isDomainError(error)) throw error
    failures.push(error)
    return false
  }
}
