import { buffer } from 'node:stream/consumers'
import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { UploadRecord } from '../metadata/metadata.ts'
import { unknownUpload } from '../metadata/upload-errors.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { MultipartUpload } from '../objects/object-store.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'

/** @throws DomainError `not_found` for the upload when the store has lost it. */
export async function resumeParts(
  { objects }: BlobStoreParts,
  { id, objectKey, multipartToken, partSize }: UploadRecord,
): Promise<MultipartUpload> {
  if (multipartToken === null) return objects.createMultipart(objectKey, { partSize })
  try {
    return await objects.resumeMultipart(objectKey, multipartToken, { partSize })
  } catch (error) {
    throw isDomainError(error, 'not_found') ? unknownUpload(id) : error
  }
}

export async function readTail(
  { objects }: BlobStoreParts,
  { tail }: UploadRecord,
  options?: Abortable,
): Promise<Buffer> {
  if (tail === null) return Buffer.alloc(0)
  const bytes = await buffer((await objects.get(tail.objectKey, options)).stream)
  if (bytes.length !== tail.size)
    throw new DomainError(
      'unavailable',
      `The object ${tail.objectKey} has ${bytes.length} bytes where ${tail.size} were stored.`,
      { resource: 'object', name: tail.objectKey },
    )
  return bytes
}

/**
 * Puts the bytes of a session together as one object and returns its key. May be repeated. A session that never
 * filled a part is one object already.
 */
export async function finishObject(parts: BlobStoreParts, record: UploadRecord): Promise<ObjectKey> {
  const { objectKey, offset, tail } = record
  if (offset === 0) return (await parts.objects.put(objectKey, new Uint8Array())).key
  if (record.parts.length === 0 && tail !== null) return tail.objectKey
  try {
    const upload = await resumeParts(parts, record)
    const last =
      tail === null ? [] : [await upload.uploadPart(record.parts.length + 1, await readTail(parts, record))]
    await upload.complete([...record.parts, ...last])
  } catch (error) {
    // A commit that broke off after this point has left nothing to upload to, but the object.
    if (!isDomainError(error, 'not_found') || !(await isWhole(parts, record))) throw error
  }
  return objectKey
}

/** Deletes everything that a session has stored, or may have. Not for one that has become a blob. */
export async function deleteUploadBytes({ objects }: BlobStoreParts, record: UploadRecord): Promise<void> {
  const { objectKey, partSize, multipartToken, tail, nextTailKey } = record
  if (multipartToken !== null) {
    try {
      await (await objects.resumeMultipart(objectKey, multipartToken, { partSize })).abort()
    } catch (error) {
      if (!isDomainError(error, 'not_found')) throw error
    }
  }
  await objects.delete([objectKey, tail?.objectKey, nextTailKey].filter(key => key != null))
}

async function isWhole({ objects }: BlobStoreParts, { objectKey, offset }: UploadRecord): Promise<boolean> {
  try {
    return (await objects.head(objectKey)).size === offset
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}
