import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { abortWith } from '../streams/abort-with.ts'
import { selectRange } from './byte-range.ts'
import { backupKeyParts, backupPrefix, type ObjectKey } from './keys.ts'
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
  UploadedPart,
} from './object-store.ts'
import { checkEtags, checkPart, etagOfPart, sizeOfParts, uploadGone } from './part-list.ts'

type Objects = Map<ObjectKey, Uint8Array>
type Parts = Map<number, Uint8Array>
type Uploads = Map<string, { readonly since: Date; readonly parts: Parts }>

/** Objects in this process's memory: for tests, and as the shortest complete reading of the contract. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects: Objects = new Map()
  readonly #uploads: Uploads = new Map()
  readonly #now: () => number

  /** @param now milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Multipart uploads that are neither complete nor aborted. */
  get unfinishedUploads(): number {
    return this.#uploads.size
  }

  async head(key: ObjectKey, options?: Abortable): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    return { key, size: this.#bytesOf(key).length }
  }

  async get(key: ObjectKey, options?: GetOptions): Promise<ObjectBody> {
    options?.signal?.throwIfAborted()
    const bytes = this.#bytesOf(key)
    const { first, length } = selectRange(bytes.length, options?.range, { resource: 'object', name: key })
    const stream = Readable.from(length === 0 ? [] : [bytes.subarray(first, first + length)], {
      objectMode: false,
    })
    return {
      key,
      size: bytes.length,
      stream: abortWith(stream, options?.signal),
    }
  }

  async put(key: ObjectKey, body: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    if (options?.ifAbsent === true && this.#objects.has(key))
      throw new DomainError('already_exists', `The object ${key} exists already.`, {
        resource: 'object',
        name: key,
      })
    this.#objects.set(key, Uint8Array.from(body))
    return { key, size: body.length }
  }

  async delete(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    for (const key of keys) this.#objects.delete(key)
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    options?.signal?.throwIfAborted()
    // Keys are ASCII, so the order of code units is byte order.
    for (const key of [...this.#objects.keys()].sort()) {
      const bytes = this.#objects.get(key)
      if (bytes === undefined || !key.startsWith(prefix) || key <= (options?.after ?? '')) continue
      if (backupKeyParts(key) !== undefined && !prefix.startsWith(backupPrefix)) continue
      yield { key, size: bytes.length }
      options?.signal?.throwIfAborted()
    }
  }

  async createMultipart(key: ObjectKey, options: CreateMultipartOptions): Promise<MultipartUpload> {
    options.signal?.throwIfAborted()
    const token = randomBytes(16).toString('hex')
    this.#uploads.set(token, { since: new Date(this.#now()), parts: new Map() })
    return new MemoryMultipart(this.#objects, this.#uploads, { key, token, partSize: options.partSize })
  }

  async resumeMultipart(
    key: ObjectKey,
    token: string,
    options: CreateMultipartOptions,
  ): Promise<MultipartUpload> {
    options.signal?.throwIfAborted()
    if (!this.#uploads.has(token) && !this.#objects.has(key)) throw uploadGone(key)
    return new MemoryMultipart(this.#objects, this.#uploads, { key, token, partSize: options.partSize })
  }

  async takeOverMultipart(key: ObjectKey, token: string, options: TakeOverOptions): Promise<MultipartUpload> {
    const resumed = await this.resumeMultipart(key, token, options)
    const upload = this.#uploads.get(token)
    if (upload === undefined) return resumed
    const own = await this.createMultipart(key, options)
    const kept = [...upload.parts].filter(([number]) => number <= options.keptParts)
    this.#uploads.set(own.token, { since: upload.since, parts: new Map(kept) })
    this.#uploads.delete(token)
    return own
  }

  async *unfinished(options?: Abortable): AsyncGenerator<UnfinishedWrite> {
    options?.signal?.throwIfAborted()
    for (const [token, { since }] of [...this.#uploads]) {
      const discard = async ({ signal }: Abortable = {}) => {
        signal?.throwIfAborted()
        this.#uploads.delete(token)
      }
      yield { token, since, discard }
      options?.signal?.throwIfAborted()
    }
  }

  async ping(options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
  }

  #bytesOf(key: ObjectKey): Uint8Array {
    const bytes = this.#objects.get(key)
    if (bytes === undefined)
      throw new DomainError('not_found', `The object ${key} does not exist.`, {
        resource: 'object',
        name: key,
      })
    return bytes
  }
}

class MemoryMultipart implements MultipartUpload {
  readonly key: ObjectKey
  readonly token: string
  readonly #partSize: number
  readonly #objects: Objects
  readonly #uploads: Uploads

  constructor(
    objects: Objects,
    uploads: Uploads,
    { key, token, partSize }: { key: ObjectKey; token: string; partSize: number },
  ) {
    this.#objects = objects
    this.#uploads = uploads
    this.key = key
    this.token = token
    this.#partSize = partSize
  }

  async uploadPart(number: number, body: Uint8Array, options?: Abortable): Promise<UploadedPart> {
    options?.signal?.throwIfAborted()
    checkPart(this.key, number, body.length, this.#partSize)
    const upload = this.#uploads.get(this.token)
    if (upload === undefined) throw uploadGone(this.key)
    upload.parts.set(number, Uint8Array.from(body))
    return { number, size: body.length, etag: etagOfPart(this.key, number, body.length) }
  }

  async complete(named: readonly UploadedPart[], options?: Abortable): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    const size = sizeOfParts(this.key, named, this.#partSize)
    checkEtags(this.key, named)
    const upload = this.#uploads.get(this.token)
    if (upload === undefined) {
      if (this.#objects.get(this.key)?.length !== size) throw uploadGone(this.key)
    } else {
      this.#objects.set(this.key, Buffer.concat(named.map(part => this.#sent(upload.parts, part))))
      this.#uploads.delete(this.token)
    }
    return { key: this.key, size }
  }

  async abort(options?: Abortable): Promise<void> {
    options?.signal?.throwIfAborted()
    this.#uploads.delete(this.token)
  }

  #sent(parts: Parts, { number, size }: UploadedPart): Uint8Array {
    const bytes = parts.get(number)
    if (bytes?.length !== size)
      throw new DomainError(
        'invalid',
        `Part ${number} of the object ${this.key} was never sent with ${size} bytes.`,
        {
          resource: 'object',
          name: this.key,
        },
      )
    return bytes
  }
}
