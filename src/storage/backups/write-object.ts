import type { Abortable } from '../abortable.ts'
import { createDigester, type Digest } from '../digest.ts'
import type { ObjectKey } from '../objects/keys.ts'
import type { MultipartUpload, ObjectStore, UploadedPart } from '../objects/object-store.ts'

/** S3 takes 10,000 parts: this makes 160 GiB. */
const partBytes = 16 * 1024 * 1024

export interface WrittenObject {
  readonly size: number
  /** Of its bytes. */
  readonly digest: Digest
}

/** Writes a stream of any length as one object. What fails leaves nothing behind. */
export async function writeObject(
  store: Pick<ObjectStore, 'put' | 'createMultipart'>,
  key: ObjectKey,
  bytes: AsyncIterable<Uint8Array>,
  options: Abortable = {},
): Promise<WrittenObject> {
  const digester = createDigester('sha256')
  const parts: UploadedPart[] = []
  let size = 0
  let upload: MultipartUpload | undefined
  try {
    for await (const part of inParts(bytes)) {
      digester.update(part)
      size += part.length
      if (upload === undefined && part.length < partBytes) {
        await store.put(key, part, options)
        return { size, digest: digester.digest() }
      }
      upload ??= await store.createMultipart(key, { ...options, partSize: partBytes })
      parts.push(await upload.uploadPart(parts.length + 1, part, options))
    }
    if (upload === undefined) await store.put(key, new Uint8Array(), options)
    else await upload.complete(parts, options)
    return { size, digest: digester.digest() }
  } catch (error) {
    // It is swept otherwise.
    await upload?.abort().catch(() => {})
    throw error
  }
}

/** All of the same size but the last. */
async function* inParts(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = []
  let length = 0
  for await (const chunk of bytes) {
    waiting.push(chunk)
    length += chunk.length
    if (length < partBytes) continue
    const all = Buffer.concat(waiting)
    let start = 0
    for (; start + partBytes <= all.length; start += partBytes) yield all.subarray(start, start + partBytes)
    waiting = [all.subarray(start)]
    length = all.length - start
  }
  if (length > 0) yield Buffer.concat(waiting)
}
