import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { DomainError, isDomainError } from '../../../errors.ts'
import { type Abortable, orAbort } from '../../abortable.ts'
import type { ObjectKey } from '../keys.ts'
import type { ObjectInfo } from '../object-store.ts'
import { bufferOf } from './body.ts'
import type { S3Bucket, S3Call } from './s3-bucket.ts'
import { headObject } from './s3-multipart.ts'

/** How often a put is repeated that met another one of the same key. */
const conflictAttempts = 5

/** One request. Under the condition it may also fail with `conflict` or `unsupported`. */
export async function putObject(
  bucket: S3Bucket,
  key: string,
  body: Uint8Array,
  { onlyIfAbsent = false, signal }: Abortable & { readonly onlyIfAbsent?: boolean } = {},
): Promise<void> {
  const input = {
    Bucket: bucket.name,
    Key: bucket.nameOf(key),
    Body: bufferOf(body),
    ContentLength: body.length,
    ...(onlyIfAbsent ? { IfNoneMatch: '*' } : {}),
  }
  const send: S3Call<unknown> = (client, options) => client.send(new PutObjectCommand(input), options)
  await (onlyIfAbsent ? bucket.attempt(key, { signal }, send) : bucket.call(key, { signal }, send))
}

/** Puts that replace nothing, as far as the store lets them. */
export class ConditionalPut {
  readonly #bucket: S3Bucket
  #isHonoured: Promise<boolean> | undefined

  constructor(bucket: S3Bucket) {
    this.#bucket = bucket
  }

  /**
   * Whether the store itself keeps a put from replacing an object. Some ignore the condition, so it is tried out, in
   * three requests, when it is first needed; the process remembers the answer.
   */
  async isHonoured({ signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted()
    const known = this.#bucket.settings.profile.conditionalPut
    if (known !== undefined) return known
    this.#isHonoured ??= this.#tryOut().catch((error: unknown) => {
      this.#isHonoured = undefined
      throw error
    })
    return await orAbort(this.#isHonoured, signal)
  }

  /**
   * With a store that ignores the condition, a put that comes between our look and our put is lost. Keys are never
   * used twice, so that could only be another writer of one and the same upload, in the moment between the two.
   *
   * @throws DomainError `already_exists`; also when it was our own, and the answer to it got lost.
   */
  async put(key: ObjectKey, body: Uint8Array, options?: Abortable): Promise<ObjectInfo> {
    if (await this.isHonoured(options)) await this.#insist(key, body, options)
    else {
      await this.#refuseTaken(key, options)
      await putObject(this.#bucket, key, body, options)
    }
    return { key, size: body.length }
  }

  /** Until there is a winner: S3 may turn down all of several that come at once. */
  async #insist(key: ObjectKey, body: Uint8Array, options?: Abortable): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await putObject(this.#bucket, key, body, { ...options, onlyIfAbsent: true })
        return
      } catch (error) {
        if (!isDomainError(error, 'conflict')) throw error
        if (attempt === conflictAttempts)
          throw new DomainError('unavailable', error.message, error.details, { cause: error })
        await sleep(100 * attempt * Math.random(), undefined, { signal: options?.signal })
      }
    }
  }

  async #refuseTaken(key: ObjectKey, options?: Abortable): Promise<void> {
    try {
      await headObject(this.#bucket, key, options)
    } catch (error) {
      if (isDomainError(error, 'not_found')) return
      throw error
    }
    throw new DomainError('already_exists', `The object ${key} exists already.`, {
      resource: 'object',
      name: key,
    })
  }

  async #tryOut(): Promise<boolean> {
    // Beside the objects, so that no listing takes it for one.
    const key = `probe/${randomBytes(16).toString('hex')}`
    try {
      await putObject(this.#bucket, key, Buffer.of(1), { onlyIfAbsent: true })
      await putObject(this.#bucket, key, Buffer.of(2), { onlyIfAbsent: true })
      return false
    } catch (error) {
      if (isDomainError(error, 'unsupported')) return false
      if (isDomainError(error, 'already_exists')) return true
      throw error
    } finally {
      const input = { Bucket: this.#bucket.name, Key: this.#bucket.nameOf(key) }
      await this.#bucket
        .call(key, undefined, (client, options) => client.send(new DeleteObjectCommand(input), options))
        .catch(() => undefined)
    }
  }
}
