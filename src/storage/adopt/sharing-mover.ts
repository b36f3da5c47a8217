import { randomUUID } from 'node:crypto'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { newUploadId } from '../blobs/upload-id.ts'
import { algorithmOf } from '../digest.ts'
import type { BlobRecords } from '../metadata/blob-records.ts'
import type { NewUpload, UploadRecords } from '../metadata/upload-records.ts'
import type { FileTaker } from '../objects/file-taker.ts'
import { newObjectKey } from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { BlobMover, LegacyBlob, MovedBlob } from './blob-mover.ts'
import type { DirectoryLegacyStore, LocatedFile } from './directory-legacy-store.ts'
import { blobDataPath } from './legacy-layout.ts'
import { verifyObject } from './verify-object.ts'

/** Hours after which the sweep takes back what a crash has cut off; no blob takes as long to read. */
const patienceMs = 24 * 60 * 60 * 1000
/** Nothing is ever uploaded in parts to such a session. */
const partSize = 8 * 1024 * 1024

export interface SharingMoverParts {
  readonly from: DirectoryLegacyStore
  readonly objects: ObjectStore & FileTaker
  readonly metadata: BlobRecords & UploadRecords
  /** For what cannot be shared, as between file systems. */
  readonly otherwise: BlobMover
  /** Whether the bytes are believed to be what they are called. */
  readonly trust: boolean
}

/**
 * From a directory to a directory: the old file gets one more name. distribution never writes to the bytes of a blob
 * once they have their place, so that either side may go on and delete its own name.
 *
 * The upload session names the key before anything is under it, so that a crash leaks nothing. Bytes are verified
 * under our own name: what was read is what will be served.
 */
export class SharingMover implements BlobMover {
  readonly way = 'shared'
  readonly #parts: SharingMoverParts

  constructor(parts: SharingMoverParts) {
    this.#parts = parts
  }

  async move(blob: LegacyBlob, options: Abortable = {}): Promise<MovedBlob> {
    const { from, metadata, objects, otherwise } = this.#parts
    const { repository, digest, storedAs } = blob
    const file = await from.locate(blobDataPath(storedAs), options)
    const session = newSession(blob)
    await metadata.createUpload(session, options)
    const size = await this.#take(session, blob, file, options)
    if (size === undefined) return await otherwise.move(blob, options)

    const { id: uploadId, objectKey, holder } = session
    // All the work is done; an abort now would leave it to the sweep.
    const stored = await metadata.commitBlob({ digest, size, objectKey, repository, uploadId, holder })
    // Somebody has pushed it meanwhile; the sweep would find ours, too.
    if (stored.objectKey !== objectKey) await objects.delete([objectKey])
    return { size, how: 'shared' }
  }

  /** Bytes; undefined when it cannot be shared. */
  async #take(
    { id, objectKey }: NewUpload,
    { digest, storedAs, isSuspect = false }: LegacyBlob,
    file: LocatedFile,
    options: Abortable,
  ): Promise<number | undefined> {
    const { metadata, objects, trust } = this.#parts
    const drop = async (): Promise<void> => {
      await objects.delete([objectKey])
      await metadata.deleteUpload(id)
    }
    try {
      if (await objects.takeFile(objectKey, file.path, options))
        // Of a digest that the old registry does not keep bytes under, there is nobody to trust.
        return trust && !isSuspect && storedAs === digest
          ? (await objects.head(objectKey, options)).size
          : await verifyObject(objects, objectKey, digest, options)
    } catch (error) {
      await drop().catch(ignoreKnown)
      throw error
    }
    await drop()
    return undefined
  }
}

/** It expires, and the first failure tells more. */
function ignoreKnown(error: unknown): void {
  if (!isDomainError(error)) throw error
}

function newSession({ repository, digest }: LegacyBlob): NewUpload {
  const until = new Date(Date.now() + patienceMs)
  return {
    id: newUploadId(),
    repository,
    algorithm: algorithmOf(digest),
    objectKey: newObjectKey(),
    partSize,
    nextTailKey: newObjectKey(),
    holder: randomUUID(),
    leaseUntil: until,
    expiresAt: until,
  }
}
