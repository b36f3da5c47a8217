import { open, stat, unlink } from 'node:fs/promises'
import { DomainError, errnoOf } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { forEachParallel } from '../adopt/parallel.ts'
import { abortWith } from '../streams/abort-with.ts'
import { selectRange } from './byte-range.ts'
import { FileRangeStream } from './file-range-stream.ts'
import type { FileTaker } from './file-taker.ts'
import { fromFilesystem } from './filesystem-errors.ts'
import { FilesystemMultipart } from './filesystem-multipart.ts'
import type { ObjectKey } from './keys.ts'
import { ObjectDirectory } from './object-directory.ts'
import type {
  CreateMultipartOptions,
  GetOptions,
  ListOptions,
  MultipartUpload,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  TakeOverOptions,
  UnfinishedWrite,
} from './object-store.ts'
import { walkObjects } from './object-walk.ts'
import { uploadGone } from './part-list.ts'

/** Fewer than Node has threads for files (libuv: 4), which uploads need, too. */
const deletionsAtOnce = 2

/**
 * Objects as files of one local directory. What is acknowledged has been synced to the disk: the file and
 * the name that leads to it. Several processes of one machine may share the directory.
 */
export class FilesystemObjectStore implements ObjectStore, FileTaker {
  readonly #directory: ObjectDirectory

  private constructor(directory: ObjectDirectory) {
    this.#directory = directory
  }

  /** Makes the directories that are missing. @throws DomainError `unavailable` when `root` cannot be written. */
  static async open(root: string, options?: Abortable): Promise<FilesystemObjectStore> {
    options?.signal?.throwIfAborted()
    const directory = new ObjectDirectory(root)
    await converted(root, () => directory.prepare())
    return new FilesystemObjectStore(directory)
  }

  /** For what is there already: makes nothing, and need not be allowed to write. */
  static forReading(root: string): FilesystemObjectStore {
    return new FilesystemObjectStore(new ObjectDirectory(root))
  }

  async ping(options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    try {
      await this.#directory.check()
    } catch (cause) {
      // Not `not_found`, which is about an object.
      throw new DomainError(
        'unavailable',
        `The directory of the object store cannot be used (${errnoOf(cause)}); check the disk and the permissions.`,
        { resource: 'object' },
        { cause },
      )
    }
  }

  async head(key: ObjectKey, options?: Abortable): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    const { size } = await converted(key, () => stat(this.#directory.objectPath(key)))
    return { key, size }
  }

  async get(key: ObjectKey, options?: GetOptions): Promise<ObjectBody> {
    options?.signal?.throwIfAborted()
    return converted(key, async () => {
      const file = await open(this.#directory.objectPath(key), 'r')
      try {
        const { size } = await file.stat()
        options?.signal?.throwIfAborted()
        const selected = selectRange(size, options?.range, { resource: 'object', name: key })
        const stream = new FileRangeStream(file, key, selected)
        return { key, size, stream: abortWith(stream, options?.signal) }
      } catch (error) {
        await file.close()
        throw error
      }
    })
  }

  async put(key: ObjectKey, body: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    const token = this.#directory.newToken()
    await converted(key, async () => {
      await this.#directory.writeStaged(token, body)
      try {
        await this.#directory.publish(token, key, { ifAbsent: options?.ifAbsent ?? false })
      } catch (error) {
        await this.#directory.dropStaged(token)
        throw error
      }
    })
    return { key, size: body.length }
  }

  async takeFile(key: ObjectKey, path: string, options?: Abortable): Promise<boolean> {
    options?.signal?.throwIfAborted()
    return await converted(key, () => this.#directory.takeFile(path, key))
  }

  async delete(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    await forEachParallel(keys, deletionsAtOnce, key => this.#delete(key), options)
  }

  async #delete(key: ObjectKey): Promise<void> {
    try {
      await unlink(this.#directory.objectPath(key))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromFilesystem(error, key)
    }
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    options?.signal?.throwIfAborted()
    try {
      for await (const info of walkObjects(this.#directory.objects, {
        prefix,
        after: options?.after ?? '',
      })) {
        yield info
        options?.signal?.throwIfAborted()
      }
    } catch (error) {
      throw fromFilesystem(error, prefix)
    }
  }

  async createMultipart(key: ObjectKey, options: CreateMultipartOptions): Promise<MultipartUpload> {
    options.signal?.throwIfAborted()
    const token = this.#directory.newToken()
    await converted(key, () => this.#directory.createStaged(token))
    return new FilesystemMultipart(this.#directory, key, token, options.partSize)
  }

  async resumeMultipart(
    key: ObjectKey,
    token: string,
    options: CreateMultipartOptions,
  ): Promise<MultipartUpload> {
    options.signal?.throwIfAborted()
    const isThere = await converted(key, () => this.#directory.hasStaged(token))
    // An upload that has been completed is gone from staging, and completing it again must still succeed.
    const isComplete = (await converted(key, () => this.#directory.sizeOf(key))) !== undefined
    if (!isThere && !isComplete) throw uploadGone(key)
    return new FilesystemMultipart(this.#directory, key, token, options.partSize)
  }

  /**
   * Into a file of our own: a write that the earlier writer has under way goes to the old one, and whatever it begins
   * later does not find that any more.
   */
  async takeOverMultipart(key: ObjectKey, token: string, options: TakeOverOptions): Promise<MultipartUpload> {
    const { partSize, keptParts } = options
    const upload = await this.resumeMultipart(key, token, options)
    if (!(await converted(key, () => this.#directory.hasStaged(token)))) return upload
    const ownToken = this.#directory.newToken()
    await converted(key, () => this.#directory.moveStaged(token, ownToken, keptParts * partSize))
    return new FilesystemMultipart(this.#directory, key, ownToken, partSize)
  }

  async *unfinished(options?: Abortable): AsyncGenerator<UnfinishedWrite> {
    options?.signal?.throwIfAborted()
    for (const { token, since } of await converted('staging', () => this.#directory.listStaged())) {
      const discard = async ({ signal }: Abortable = {}) => {
        signal?.throwIfAborted()
        await converted('staging', () => this.#directory.dropStaged(token))
      }
      yield { token, since, discard }
      options?.signal?.throwIfAborted()
    }
  }
}

async function converted<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw fromFilesystem(error, name)
  }
}
