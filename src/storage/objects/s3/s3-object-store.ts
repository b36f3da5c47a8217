import {
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadBucketCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { ObjectKey } from '../keys.ts'
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
} from '../object-store.ts'
import type { Presigner } from '../presigner.ts'
import { S3Bucket } from './s3-bucket.ts'
import { CredentialChain } from './renewed-credentials.ts'
import { createS3Client, readTrusted } from './s3-client.ts'
import { deleteObjects } from './s3-delete.ts'
import { getObject } from './s3-get.ts'
import { listNames, listObjects, listUnfinished, type NamedObject } from './s3-listing.ts'
import { headObject, S3Multipart } from './s3-multipart.ts'
import { type S3ObjectStoreOptions, settingsOf } from './s3-options.ts'
import { ConditionalPut, putObject } from './s3-put.ts'

export type { S3ObjectStoreOptions } from './s3-options.ts'

/**
 * Objects in a bucket of Amazon S3, or of whatever else speaks S3: Manta, MinIO, Ceph and others.
 *
 * In a request's path there is no COPY and no LIST: a `put`, a `get`, a `head` and a `delete` are one request each, a
 * multipart upload of n parts is n + 2.
 */
export class S3ObjectStore implements ObjectStore, Presigner, AsyncDisposable {
  readonly #bucket: S3Bucket
  readonly #conditionalPut: ConditionalPut
  readonly #clients: readonly S3Client[]
  /** Of the name by which clients know the store. */
  readonly #publicClient: S3Client

  private constructor(bucket: S3Bucket, clients: readonly S3Client[], publicClient: S3Client) {
    this.#bucket = bucket
    this.#conditionalPut = new ConditionalPut(bucket)
    this.#clients = clients
    this.#publicClient = publicClient
  }

  /**
   * Asks the store nothing, which may come up later than we do: see {@link ping}.
   * @throws DomainError `unavailable` when the certificates cannot be read.
   */
  static async open(options: S3ObjectStoreOptions, abortable?: Abortable): Promise<S3ObjectStore> {
    abortable?.signal?.throwIfAborted()
    const settings = settingsOf(options)
    const trusted = await readTrusted(settings.caFile, abortable)
    const chain = new CredentialChain()
    const client = createS3Client(settings, settings.endpoint, trusted, chain)
    const publicClient =
      settings.publicEndpoint === undefined
        ? client
        : createS3Client(settings, settings.publicEndpoint, trusted, chain)
    const { completeTimeoutMs: idleTimeoutMs } = settings
    const patientClient = createS3Client({ ...settings, idleTimeoutMs }, settings.endpoint, trusted, chain)
    const clients = [client, patientClient, publicClient]
    return new S3ObjectStore(new S3Bucket(client, patientClient, settings), clients, publicClient)
  }

  async ping(options?: Abortable): Promise<void> {
    const input = { Bucket: this.#bucket.name }
    await this.#bucket.call(undefined, options, (client, sending) =>
      client.send(new HeadBucketCommand(input), sending),
    )
  }

  head(key: ObjectKey, options?: Abortable): Promise<ObjectInfo> {
    return headObject(this.#bucket, key, options)
  }

  /** A connection that breaks in the middle is replaced by one that goes on from there. */
  get(key: ObjectKey, options?: GetOptions): Promise<ObjectBody> {
    return getObject(this.#bucket, key, options)
  }

  async put(key: ObjectKey, body: Uint8Array, options?: PutOptions): Promise<ObjectInfo> {
    const { signal, ifAbsent = false } = options ?? {}
    if (ifAbsent) return await this.#conditionalPut.put(key, body, { signal })
    await putObject(this.#bucket, key, body, { signal })
    return { key, size: body.length }
  }

  /** Whether `ifAbsent` is the store's own promise; found out once. */
  hasConditionalPut(options?: Abortable): Promise<boolean> {
    return this.#conditionalPut.isHonoured(options)
  }

  delete(keys: readonly ObjectKey[], options?: Abortable): Promise<void> {
    return deleteObjects(this.#bucket, keys, options)
  }

  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo> {
    return listObjects(this.#bucket, prefix, options)
  }

  /** Everything in the bucket whose whole name begins so, our own and others'. Of an adopted key, without its `/`. */
  listNames(prefix: string, options?: Abortable): AsyncIterable<NamedObject> {
    return listNames(this.#bucket, prefix, options)
  }

  async createMultipart(key: ObjectKey, options: CreateMultipartOptions): Promise<MultipartUpload> {
    const input = { Bucket: this.#bucket.name, Key: this.#bucket.nameOf(key) }
    const { UploadId: token } = await this.#bucket.call(key, options, (client, sending) =>
      client.send(new CreateMultipartUploadCommand(input), sending),
    )
    if (token !== undefined) return new S3Multipart(this.#bucket, key, token, options.partSize)
    throw new DomainError(
      'unavailable',
      `The object store ${this.#bucket.about().store} began an upload of the object ${key} without giving it an ID.`,
      { resource: 'object', name: key },
    )
  }

  /** Asks nothing: an upload that is gone shows at its next call. */
  async resumeMultipart(
    key: ObjectKey,
    token: string,
    { partSize, signal }: CreateMultipartOptions,
  ): Promise<MultipartUpload> {
    signal?.throwIfAborted()
    return new S3Multipart(this.#bucket, key, token, partSize)
  }

  /** The same upload: {@link S3Multipart} says why that is safe. */
  takeOverMultipart(key: ObjectKey, token: string, options: TakeOverOptions): Promise<MultipartUpload> {
    return this.resumeMultipart(key, token, options)
  }

  unfinished(options?: Abortable): AsyncIterable<UnfinishedWrite> {
    return listUnfinished(this.#bucket, options)
  }

  async presignGet(key: ObjectKey, expiresInSeconds: number, options?: Abortable): Promise<URL> {
    const input = { Bucket: this.#bucket.name, Key: this.#bucket.nameOf(key) }
    const url = await this.#bucket.call(key, options, () =>
      getSignedUrl(this.#publicClient, new GetObjectCommand(input), { expiresIn: expiresInSeconds }),
    )
    return new URL(url)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.destroy()
  }
}
