import { DomainError, isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { createDigester, type Digest } from '../digest.ts'
import { unknownUpload } from '../metadata/upload-errors.ts'
import type { UploadRecord } from '../metadata/upload-records.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { MultipartUpload, UploadedPart } from '../objects/object-store.ts'
import type { BlobStoreParts } from './blob-store-parts.ts'
import { PartBuffer } from './part-buffer.ts'

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

/**
 * The session's parts, out of reach of whoever else may be writing some; undefined when there are none.
 * @throws DomainError `not_found` for the upload when the store has lost them.
 */
export async function takeOverParts(
  { objects }: BlobStoreParts,
  { id, objectKey, multipartToken, partSize, parts }: UploadRecord,
): Promise<MultipartUpload | undefined> {
  if (multipartToken === null) return undefined
  try {
    return await objects.takeOverMultipart(objectKey, multipartToken, { partSize, keptParts: parts.length })
  } catch (error) {
    throw isDomainError(error, 'not_found') ? unknownUpload(id) : error
  }
}

/** Reads the bytes after the last full part into an empty buffer that has room for them. */
export async function readTail(
  { objects }: BlobStoreParts,
  { tail }: Pick<UploadRecord, 'tail'>,
  into: PartBuffer,
  options?: Abortable,
): Promise<void> {
  if (tail === null) return
  const { size, stream } = await objects.get(tail.objectKey, options)
  let read = 0
  for await (const chunk of stream as AsyncIterable<Uint8Array>) read += into.append(chunk)
  if (size !== tail.size || read !== size)
    throw new DomainError(
      'unavailable',
      `The object ${tail.objectKey} has ${size} bytes where ${tail.size} were stored.`,
      { resource: 'object', name: tail.objectKey },
    )
  // The running digest has these bytes already, so nothing after this would notice others.
  if (tail.digest !== null && tailDigestOf(into.bytes) !== tail.digest)
    throw new DomainError(
      'unavailable',
      `The object ${tail.objectKey} has other bytes than were stored; try again, or begin the upload anew.`,
      { resource: 'object', name: tail.objectKey },
    )
}

/** What a tail is known by when it is read again. */
export function tailDigestOf(bytes: Uint8Array): Digest {
  const digester = createDigester('sha256')
  digester.update(bytes)
  return digester.digest()
}

/**
 * Puts the bytes of a session together as one object and returns its key. May be repeated. A session that never
 * filled a part is one object already: its tail.
 */
export async function finishObject(parts: BlobStoreParts, record: UploadRecord): Promise<ObjectKey> {
  const { objectKey, tail } = record
  if (record.parts.length === 0 && tail !== null) return tail.objectKey
  try {
    const upload = await resumeParts(parts, record)
    const last = tail === null ? [] : [await sendTail(parts, record, upload, tail.size)]
    await upload.complete([...record.parts, ...last])
  } catch (error) {
    // A writer that was taken over has replaced a part, whose bytes nobody has any more but the client.
    if (isDomainError(error, 'invalid')) throw unknownUpload(record.id)
    // A commit that broke off after this point has left nothing to upload to, but the object.
    if (!isDomainError(error, 'not_found')) throw error
    if (!(await isWhole(parts, record))) throw unknownUpload(record.id)
  }
  return objectKey
}

async function sendTail(
  parts: BlobStoreParts,
  record: UploadRecord,
  upload: MultipartUpload,
  size: number,
): Promise<UploadedPart> {
  // The client waits for its blob, and half a minute is all that some wait.
  using tail = new PartBuffer(await parts.buffers.take(size, { urgent: true }), size)
  await readTail(parts, record, tail)
  return await upload.uploadPart(record.parts.length + 1, tail.bytes)
}

/** Deletes everything that a session has stored, or may have. Not for one that has become a blob. */
export async function deleteUploadBytes(parts: BlobStoreParts, record: UploadRecord): Promise<void> {
  const { objectKey, tail, nextTailKey } = record
  await abortParts(parts, record)
  await parts.objects.delete([objectKey, tail?.objectKey, nextTailKey].filter(key => key != null))
}

/**
 * For a session that has become a blob without any part: one may have been on its way when its writer was cut off.
 * What cannot be dropped now is left to the sweep.
 */
export async function dropUnusedParts(parts: BlobStoreParts, record: UploadRecord): Promise<void> {
  if (record.parts.length > 0) return
  try {
    await abortParts(parts, record)
  } catch (error) {
    if (!isDomainError(error)) throw error
  }
}

/** Drops the parts of a session; there need not be any. */
export async function abortParts(
  { objects }: BlobStoreParts,
  { objectKey, partSize, multipartToken }: UploadRecord,
): Promise<void> {
  if (multipartToken === null) return
  try {
    await (await objects.resumeMultipart(objectKey, multipartToken, { partSize })).abort()
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
  }
}

async function isWhole({ objects }: BlobStoreParts, { objectKey, offset }: UploadRecord): Promise<boolean> {
  try {
    return (await objects.head(objectKey)).size === offset
  } catch (error) {
    if (isDomainError(error, 'not_found')) return false
    throw error
  }
}
