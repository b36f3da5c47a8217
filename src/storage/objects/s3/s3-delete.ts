import { DeleteObjectCommand, DeleteObjectsCommand } from '@aws-sdk/client-s3'
import { isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../abortable.ts'
import type { ObjectKey } from '../keys.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { s3Failure } from './s3-errors.ts'

/** Amazon S3 API reference, DeleteObjects. */
const batch = 1000

/** What an answer says of a key that was absent, in stores that say so (Manta). */
const absent: ReadonlySet<string | undefined> = new Set(['NoSuchKey', 'NotFound', 'ObjectNotFound'])

/** A request per thousand keys, or per key with a store that deletes no more at once. */
export async function deleteObjects(
  bucket: S3Bucket,
  keys: readonly ObjectKey[],
  options?: Abortable,
): Promise<void> {
  options?.signal?.throwIfAborted()
  for (let start = 0; start < keys.length; start += batch) {
    const some = keys.slice(start, start + batch)
    if (some.length === 1 || !(await deleteTogether(bucket, some, options)))
      for (const key of some) await deleteOne(bucket, key, options)
  }
}

async function deleteOne(bucket: S3Bucket, key: ObjectKey, options?: Abortable): Promise<void> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) }
  try {
    await bucket.call(key, options, (client, sending) => client.send(new DeleteObjectCommand(input), sending))
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
  }
}

/** @returns whether the store can do that at all. */
async function deleteTogether(
  bucket: S3Bucket,
  keys: readonly ObjectKey[],
  options?: Abortable,
): Promise<boolean> {
  const names = keys.map(key => ({ Key: bucket.nameOf(key) }))
  const input = { Bucket: bucket.name, Delete: { Objects: names, Quiet: true } }
  try {
    const { Errors: errors = [] } = await bucket.attempt(undefined, options, (client, sending) =>
      client.send(new DeleteObjectsCommand(input), sending),
    )
    const failed = errors.find(({ Code: code }) => !absent.has(code))
    if (failed !== undefined)
      throw s3Failure(failed.Code ?? 'Unknown', bucket.about(bucket.keyOf(failed.Key)))
    return true
  } catch (error) {
    if (isDomainError(error, 'unsupported')) return false
    throw error
  }
}
