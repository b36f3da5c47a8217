import type { Abortable } from '../abortable.ts'
import type { AdoptionRecords } from '../metadata/adoption-records.ts'
import { adoptedObjectKey, type ObjectKey } from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import type { BlobMover, LegacyBlob, MovedBlob } from './blob-mover.ts'
import { blobDataPath } from './legacy-layout.ts'
import { verifyObject } from './verify-object.ts'

export interface UsingMoverParts {
  readonly objects: ObjectStore
  readonly metadata: AdoptionRecords
  /** What the old registry's paths begin with in the bucket. */
  readonly prefix: string
  /** For what cannot be used as it is. */
  readonly otherwise: BlobMover
  /** Whether the bytes are believed to be what they are called. */
  readonly trust: boolean
}

/**
 * Within one bucket: the old object is the blob's object from now on, under the name that it has. When the blob is
 * deleted here, that object is; when the old registry collects its garbage, so it is.
 */
export class UsingMover implements BlobMover {
  readonly way = 'used'
  readonly #parts: UsingMoverParts

  constructor(parts: UsingMoverParts) {
    this.#parts = parts
  }

  async move(blob: LegacyBlob, options: Abortable = {}): Promise<MovedBlob> {
    const { metadata, otherwise } = this.#parts
    const { repository, digest } = blob
    const objectKey = this.#keyOf(blob)
    if (objectKey === undefined) return await otherwise.move(blob, options)
    await metadata.holdObject(objectKey, options)
    const size = await this.#sizeOf(objectKey, blob, options)
    await metadata.adoptBlob({ repository, digest, size, objectKey }, options)
    return { size, how: 'used' }
  }

  /** One object is never given to two digests: whoever deletes the one blob would take the other one's bytes. */
  #keyOf({ digest, storedAs }: LegacyBlob): ObjectKey | undefined {
    return storedAs === digest ? adoptedObjectKey(this.#parts.prefix + blobDataPath(storedAs)) : undefined
  }

  async #sizeOf(
    key: ObjectKey,
    { digest, isSuspect = false }: LegacyBlob,
    options: Abortable,
  ): Promise<number> {
    const { objects, trust } = this.#parts
    return trust && !isSuspect
      ? (await objects.head(key, options)).size
      : await verifyObject(objects, key, digest, options)
  }
}
