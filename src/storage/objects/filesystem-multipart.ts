import { open } from 'node:fs/promises'
import { errnoOf, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { writeFully } from './durable-files.ts'
import { fromFilesystem } from './filesystem-errors.ts'
import type { ObjectKey } from './keys.ts'
import type { ObjectDirectory } from './object-directory.ts'
import type { MultipartUpload, ObjectInfo, UploadedPart } from './object-store.ts'
import { checkEtags, checkPart, etagOfPart, sizeOfParts, uploadGone } from './part-list.ts'

/**
 * A multipart upload into one staged file, part n at `(n - 1) * partSize`, so that completing it copies nothing.
 * Each part is synced before it is acknowledged: the database will remember it as stored.
 */
export class FilesystemMultipart implements MultipartUpload {
  readonly key: ObjectKey
  readonly token: string
  readonly #directory: ObjectDirectory
  readonly #partSize: number
  readonly #path: string

  constructor(directory: ObjectDirectory, key: ObjectKey, token: string, partSize: number) {
    this.key = key
    this.token = token
    this.#directory = directory
    this.#partSize = partSize
    this.#path = directory.stagingPath(token)
  }

  async uploadPart(number: number, body: Uint8Array, options?: Abortable): Promise<UploadedPart> {
    options?.signal?.throwIfAborted()
    checkPart(this.key, number, body.length, this.#partSize)
    await this.#converted(async () => {
      const file = await open(this.#path, 'r+')
      try {
        await writeFully(file, body, (number - 1) * this.#partSize)
        await file.datasync()
      } finally {
        await file.close()
      }
    })
    return { number, size: body.length, etag: etagOfPart(this.key, number, body.length) }
  }

  async complete(parts: readonly UploadedPart[], options?: Abortable): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    const size = sizeOfParts(this.key, parts, this.#partSize)
    checkEtags(this.key, parts)
    await this.#converted(async () => {
      try {
        await this.#publish(size)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT' || (await this.#directory.sizeOf(this.key)) !== size) throw error
      }
    })
    return { key: this.key, size }
  }

  async abort(options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#converted(() => this.#directory.dropStaged(this.token))
  }

  async #publish(size: number): Promise<void> {
    const file = await open(this.#path, 'r+')
    try {
      if ((await file.stat()).size < size) throw uploadGone(this.key)
      // A last part that was sent again may have become shorter.
      await file.truncate(size)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#directory.publish(this.token, this.key, { ifAbsent: false })
  }

  async #converted(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const converted = fromFilesystem(error, this.key)
      throw isDomainError(converted, 'not_found') ? uploadGone(this.key, error) : converted
    }
  }
}
