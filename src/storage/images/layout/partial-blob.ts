import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { errnoOf } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { BlobInfo } from '../../blobs/blob-store.ts'
import { writeFully } from '../../objects/durable-files.ts'
import { abortWith } from '../../streams/abort-with.ts'
import { Verification } from '../../streams/verification.ts'
import { converting, fromLayoutFile } from './layout-errors.ts'
import type { LayoutFiles } from './layout-files.ts'

const chunkBytes = 256 * 1024

export interface AppendOptions extends Abortable {
  /** Told how many bytes are there. */
  readonly onBytes?: ((offset: number) => void) | undefined
}

/** A blob that is not whole yet, in a file that outlives its process. Disposing keeps what has come. */
export class PartialBlob implements AsyncDisposable {
  readonly #files: LayoutFiles
  readonly #path: string
  readonly #blob: BlobInfo
  readonly #file: FileHandle
  readonly #verification: Verification
  /** What was there when it was opened. */
  readonly kept: number

  private constructor(
    files: LayoutFiles,
    path: string,
    blob: BlobInfo,
    file: FileHandle,
    { verification, kept }: { verification: Verification; kept: number },
  ) {
    this.#files = files
    this.#path = path
    this.#blob = blob
    this.#file = file
    this.#verification = verification
    this.kept = kept
  }

  /** Reads what is there of it again, for nobody knows which bytes a crash has left. */
  static async open(files: LayoutFiles, blob: BlobInfo, { signal }: Abortable = {}): Promise<PartialBlob> {
    const path = files.partial(blob.digest)
    return await converting(nameOf(files, blob), async () => {
      await files.makeDirectory(dirname(path))
      // More than all of it is nothing of it, and so is what is no file, or a file with another name elsewhere.
      const info = await ifPresent(lstat(path))
      if (info !== undefined && !(info.isFile() && info.nlink === 1 && info.size <= blob.size)) await rm(path)
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const file = await open(path, flags, 0o644)
      try {
        const verification = newVerification(blob)
        const read = await hashFile(file, verification, signal)
        return new PartialBlob(files, path, blob, file, read)
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  /** Bytes that are there. */
  get offset(): number {
    return this.#verification.bytes
  }

  /** @throws DomainError `size_mismatch`, `digest_mismatch` for other bytes than those of the blob; what the stream fails with. */
  async append(stream: Readable, { signal, onBytes }: AppendOptions = {}): Promise<void> {
    for await (const chunk of abortWith(stream, signal) as AsyncIterable<Uint8Array>) {
      // Written before it counts: what is asked for again after a failure begins where the last write has begun.
      try {
        await writeFully(this.#file, chunk, this.offset)
      } catch (error) {
        throw fromLayoutFile(error, nameOf(this.#files, this.#blob))
      }
      const mismatch = this.#verification.update(chunk)
      if (mismatch !== null) throw mismatch
      onBytes?.(this.offset)
    }
  }

  /** @throws DomainError `size_mismatch`, `digest_mismatch`. */
  async commit(): Promise<void> {
    const mismatch = this.#verification.end()
    if (mismatch !== null) throw mismatch
    await converting(nameOf(this.#files, this.#blob), async () => {
      await this.#file.sync()
      await this.#files.publish(this.#path, this.#files.blob(this.#blob.digest))
    })
  }

  /** Nothing of it is worth keeping. */
  async discard(): Promise<void> {
    await converting(nameOf(this.#files, this.#blob), () => rm(this.#path, { force: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}

async function ifPresent<Info>(question: Promise<Info>): Promise<Info | undefined> {
  try {
    return await question
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function newVerification({ digest, size }: BlobInfo): Verification {
  return new Verification({ digest, size, what: { resource: 'blob', name: digest } })
}

async function hashFile(
  file: FileHandle,
  verification: Verification,
  signal: AbortSignal | undefined,
): Promise<{ verification: Verification; kept: number }> {
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (;;) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(buffer, 0, buffer.length, verification.bytes)
    if (bytesRead === 0) return { verification, kept: verification.bytes }
    // A verdict on all of it is asked for again when it is committed.
    verification.update(buffer.subarray(0, bytesRead))
  }
}

function nameOf({ label }: LayoutFiles, { digest }: BlobInfo): string {
  return `the blob ${digest} of ${label}`
}
