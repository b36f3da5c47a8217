import { createHash } from 'node:crypto'
import { DomainError } from '../../src/errors.ts'
import type { Abortable } from '../../src/storage/abortable.ts'
import type { ObjectKey } from '../../src/storage/objects/keys.ts'
import { MemoryObjectStore } from '../../src/storage/objects/memory.ts'
import type {
  CreateMultipartOptions,
  MultipartUpload,
  TakeOverOptions,
  UploadedPart,
} from '../../src/storage/objects/object-store.ts'

/**
 * Objects in memory whose multipart uploads are as S3's: an upload that is taken over stays the same, so a part that
 * its earlier writer sends late replaces the successor's, and `complete` compares each part's ETag, which is the MD5 of
 * its bytes. With parts as small as a test likes.
 */
export class SharedUploadStore extends MemoryObjectStore {
  /** By token, then by number: the ETag of the part that is there. */
  readonly #etags = new Map<string, Map<number, string>>()

  override async createMultipart(key: ObjectKey, options: CreateMultipartOptions): Promise<MultipartUpload> {
    return this.#shared(await super.createMultipart(key, options))
  }

  override async resumeMultipart(
    key: ObjectKey,
    token: string,
    options: CreateMultipartOptions,
  ): Promise<MultipartUpload> {
    return this.#shared(await super.resumeMultipart(key, token, options))
  }

  override takeOverMultipart(
    key: ObjectKey,
    token: string,
    options: TakeOverOptions,
  ): Promise<MultipartUpload> {
    return this.resumeMultipart(key, token, options)
  }

  #shared(upload: MultipartUpload): MultipartUpload {
    const { key, token } = upload
    return {
      key,
      token,
      uploadPart: async (number, body, options) => {
        const { size, etag } = await upload.uploadPart(number, body, options)
        const parts = this.#etags.get(token) ?? new Map<number, string>()
        this.#etags.set(token, parts.set(number, `${etag}-${md5(body)}`))
        return { number, size, etag: `${etag}-${md5(body)}` }
      },
      complete: (parts, options) => this.#complete(upload, parts, options),
      abort: options => upload.abort(options),
    }
  }

  async #complete(upload: MultipartUpload, parts: readonly UploadedPart[], options?: Abortable) {
    const { key } = upload
    const there = this.#etags.get(upload.token)
    const isOpen = (await this.#tokens()).has(upload.token)
    const replaced = isOpen && parts.some(({ number, etag }) => there?.get(number) !== etag)
    // The store below knows its own part of the name.
    const inner = parts.map(part => ({ ...part, etag: part.etag.split('-', 1)[0] ?? '' }))
    if (!replaced) return await upload.complete(inner, options)
    throw new DomainError('invalid', `A part of the object ${key} has been replaced.`, {
      resource: 'object',
      name: key,
    })
  }

  async #tokens(): Promise<ReadonlySet<string>> {
    const tokens = new Set<string>()
    for await (const { token } of this.unfinished()) tokens.add(token)
    return tokens
  }
}

function md5(body: Uint8Array): string {
  return createHash('md5').update(body).digest('hex')
}
