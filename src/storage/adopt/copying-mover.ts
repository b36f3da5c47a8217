import type { Abortable } from '../abortable.ts'
import type { BlobStore, BlobWriter } from '../blobs/blob-store.ts'
import { algorithmOf } from '../digest.ts'
import type { BlobMover, LegacyBlob, MovedBlob } from './blob-mover.ts'
import { blobDataPath } from './legacy-layout.ts'
import type { LegacyStore } from './legacy-store.ts'

/** From any store to any other, as if a client pushed it: verified on the way, in the memory that uploads have. */
export class CopyingMover implements BlobMover {
  readonly way = 'copied'
  readonly #from: LegacyStore
  readonly #blobs: BlobStore

  constructor(from: LegacyStore, blobs: BlobStore) {
    this.#from = from
    this.#blobs = blobs
  }

  async move(blob: LegacyBlob, options: Abortable = {}): Promise<MovedBlob> {
    const { repository, digest } = blob
    const algorithm = algorithmOf(digest)
    await using writer = await this.#blobs.repository(repository).create({ ...options, algorithm })
    const size = await this.#write(writer, blob, options)
    // What becomes of a commit that fails may be unknown, so its session is left to the sweep.
    await writer.commit({ digest, size })
    return { size, how: 'copied' }
  }

  async #write(writer: BlobWriter, { storedAs }: LegacyBlob, options: Abortable): Promise<number> {
    try {
      const { size, stream } = await this.#from.open(blobDataPath(storedAs), options)
      try {
        return await writer.write(stream, { ...options, length: size })
      } finally {
        stream.destroy()
      }
    } catch (error) {
      await writer.cancel()
      throw error
    }
  }
}
