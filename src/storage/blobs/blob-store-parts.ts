import { isDomainError } from '../../errors.ts'
import type { BlobRecords, StoredBlob } from '../metadata/blob-records.ts'
import type { GarbageRecords } from '../metadata/garbage-records.ts'
import type { UploadRecords } from '../metadata/upload-records.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { Presigner } from '../objects/presigner.ts'
import type { DigestThread } from '../streams/digest-thread.ts'
import type { BlobCache } from './blob-cache.ts'
import type { BufferBudget } from './buffer-budget.ts'

/** What a blob store is made of. */
export interface BlobStoreParts {
  readonly objects: ObjectStore
  /** Where the objects have URLs of their own. */
  readonly presigner: Presigner | undefined
  readonly metadata: BlobRecords & UploadRecords & GarbageRecords
  readonly settings: BlobStoreSettings
  /** Where the memory of all uploads comes from. */
  readonly buffers: BufferBudget
  /** Small blobs that were read last, if any are kept. */
  readonly cache: BlobCache | undefined
  /** Where large blobs are checked on their way out, if not in the thread that sends them. */
  readonly digests: DigestThread | undefined
  /** Told of a blob whose object turned out not to have its bytes when it was read. */
  readonly onDamaged: ((blob: StoredBlob) => void) | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface BlobStoreSettings {
  /** Bytes of a part: each upload keeps two in memory at most. S3 takes no less than 5 MiB. */
  readonly partSizeBytes: number
  /** How long a session stays after its last byte. */
  readonly uploadTtlMs: number
  /** How long a writer that has fallen silent keeps others out. */
  readonly leaseMs: number
  /** How long an upload may take to fill a part while others wait for memory; it then stores what it has and waits, too. */
  readonly partHoldMs: number
  /** How many bytes of a body that goes on coming are lost at most, beside parts on their way, when the process is killed. */
  readonly saveEveryBytes: number
  /**
   * Whether whole blobs are checked against their digest on their way out. Ranges never are: for them there is the
   * store's word only, and that every answer has the length and the place that was asked for.
   */
  readonly verifyReads: boolean
}

export const defaultBlobStoreSettings: BlobStoreSettings = Object.freeze({
  partSizeBytes: 8 * 1024 * 1024,
  uploadTtlMs: 24 * 60 * 60 * 1000,
  leaseMs: 60 * 1000,
  partHoldMs: 5 * 1000,
  saveEveryBytes: 16 * 1024 * 1024,
  verifyReads: false,
})

/**
 * Deletes objects that the metadata has let go of. What was acknowledged must not fail because of it: the keys
 * are written down as garbage, so the next sweep tries again.
 */
export async function dropObjects({ objects }: BlobStoreParts, keys: readonly ObjectKey[]): Promise<void> {
  if (keys.length === 0) return
  try {
    await objects.delete(keys)
  } catch (error) {
    if (!isDomainError(error)) throw error
  }
}
