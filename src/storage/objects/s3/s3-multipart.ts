import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { ObjectKey } from '../keys.ts'
import type { MultipartUpload, ObjectInfo, UploadedPart } from '../object-store.ts'
import { checkPart, sizeOfParts } from '../part-list.ts'
import { bufferOf } from './body.ts'
import type { S3Bucket } from './s3-bucket.ts'

const cuts: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE'])

/**
 * A multipart upload of S3; its token is the store's upload ID. Begun once, it is n requests for n parts and one for
 * the end.
 *
 * WHY a writer that was taken over shares the upload with its successor: the bytes of a part cannot be moved to another
 * upload without copying an object. So a part that it sends late may replace one of the successor's. It cannot do so
 * unnoticed, because the end names each part with the ETag that its sender was given, and a store that finds another
 * one refuses (`InvalidPart`). The ETag depends on the bytes, mostly as their MD5: a late part with the same bytes
 * changes nothing, one with others costs the upload and never a wrong byte. The probe checks that a store does refuse.
 *
 * WHY a completed upload is known again by the object's size: whoever ends an upload names what its record held when
 * it had the lease, and a successor only appends to that. So an object that another writer completed has the same
 * bytes, or fewer.
 */
export class S3Multipart implements MultipartUpload {
  readonly key: ObjectKey
  readonly token: string
  readonly #bucket: S3Bucket
  readonly #partSize: number

  constructor(bucket: S3Bucket, key: ObjectKey, token: string, partSize: number) {
    this.#bucket = bucket
    this.key = key
    this.token = token
    this.#partSize = partSize
  }

  async uploadPart(number: number, body: Uint8Array, options?: Abortable): Promise<UploadedPart> {
    options?.signal?.throwIfAborted()
    checkPart(this.key, number, body.length, this.#partSize)
    const input = {
      ...this.#target,
      PartNumber: number,
      Body: bufferOf(body),
      ContentLength: body.length,
    }
    const { ETag: etag } = await this.#bucket
      .call(this.key, options, (client, sending) => client.send(new UploadPartCommand(input), sending))
      .catch((error: unknown) => this.#explain(error, options))
    // As it was given: Manta wants to be told the very same, and it alone compares them.
    if (etag !== undefined) return { number, size: body.length, etag }
    throw new DomainError(
      'unavailable',
      `The object store ${this.#bucket.about().store} has no ETag for part ${number} of the object ${this.key}; check what stands between.`,
      { resource: 'object', name: this.key },
    )
  }

  async complete(parts: readonly UploadedPart[], options?: Abortable): Promise<ObjectInfo> {
    options?.signal?.throwIfAborted()
    const size = sizeOfParts(this.key, parts, this.#partSize)
    const named = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }))
    const input = { ...this.#target, MultipartUpload: { Parts: named } }
    try {
      await this.#bucket.callPatiently(this.key, options, (client, sending) =>
        client.send(new CompleteMultipartUploadCommand(input), sending),
      )
    } catch (error) {
      // An answer that got lost, or was too slow, has left the object and no upload.
      if (!isDomainError(error, 'not_found') || (await this.#storedSize(options)) !== size) throw error
    }
    return { key: this.key, size }
  }

  async abort(options?: Abortable): Promise<void> {
    try {
      await this.#bucket.call(this.key, options, (client, sending) =>
        client.send(new AbortMultipartUploadCommand(this.#target), sending),
      )
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
    }
  }

  /**
   * A store that refuses a part may answer while the part is still being sent, and then cut the connection, so that the
   * answer is never read. Whether the upload is gone must be known all the same.
   */
  async #explain(error: unknown, options?: Abortable): Promise<never> {
    const wasCut = isDomainError(error, 'unavailable') && cuts.has(errnoOf(error.cause))
    if (!wasCut) throw error
    try {
      await this.#bucket.call(this.key, options, (client, sending) =>
        client.send(new ListPartsCommand({ ...this.#target, MaxParts: 1 }), sending),
      )
    } catch (answer) {
      if (isDomainError(answer, 'not_found') || !isDomainError(answer)) throw answer
    }
    throw error
  }

  get #target(): { readonly Bucket: string; readonly Key: string; readonly UploadId: string } {
    return { Bucket: this.#bucket.name, Key: this.#bucket.nameOf(this.key), UploadId: this.token }
  }

  async #storedSize(options?: Abortable): Promise<number | undefined> {
    try {
      return (await headObject(this.#bucket, this.key, options)).size
    } catch (error) {
      if (isDomainError(error, 'not_found')) return undefined
      throw error
    }
  }
}

export async function headObject(bucket: S3Bucket, key: ObjectKey, options?: Abortable): Promise<ObjectInfo> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) }
  const { ContentLength: size = 0 } = await bucket.call(key, options, (client, sending) =>
    client.send(new HeadObjectCommand(input), sending),
  )
  return { key, size }
}
