import * as z from 'zod'
import type { ObjectKey } from '../objects/keys.ts'
import type { UploadedPart } from '../objects/object-store.ts'
import type { UploadRow } from './rows/content.ts'
import type { UploadProgress, UploadRecord } from './upload-records.ts'

/** The columns of `uploads` that a writer changes as bytes come. */
export type ProgressColumns = Pick<
  UploadRow,
  | 'upload_offset'
  | 'multipart_token'
  | 'parts'
  | 'tail_key'
  | 'tail_size'
  | 'tail_digest'
  | 'next_tail_key'
  | 'hash_state'
  | 'digest_at_offset'
  | 'expires_at'
>

export function toRecord(row: UploadRow): UploadRecord {
  return {
    id: row.id,
    repository: row.repository,
    algorithm: row.algorithm,
    objectKey: row.object_key,
    partSize: row.part_size,
    offset: row.upload_offset,
    multipartToken: row.multipart_token,
    parts: parseParts(row.parts),
    tail:
      row.tail_key === null || row.tail_size === null
        ? null
        : { objectKey: row.tail_key, size: row.tail_size, digest: row.tail_digest },
    nextTailKey: row.next_tail_key,
    hashState: row.hash_state,
    digestAtOffset: row.digest_at_offset,
    committed: row.committed,
    account: row.account,
    expiresAt: new Date(row.expires_at),
  }
}

export function toColumns(progress: UploadProgress): ProgressColumns {
  return {
    upload_offset: progress.offset,
    multipart_token: progress.multipartToken,
    parts: JSON.stringify(progress.parts),
    tail_key: progress.tail?.objectKey ?? null,
    tail_size: progress.tail?.size ?? null,
    tail_digest: progress.tail?.digest ?? null,
    next_tail_key: progress.nextTailKey,
    hash_state: progress.hashState,
    digest_at_offset: progress.digestAtOffset,
    expires_at: progress.expiresAt.getTime(),
  }
}

/** Keys that a session named before and does not name any more. */
export function abandonedKeys(
  before: Pick<UploadRow, 'tail_key' | 'next_tail_key'>,
  after: Pick<UploadRow, 'tail_key' | 'next_tail_key'>,
): ObjectKey[] {
  return [before.tail_key, before.next_tail_key].filter(
    (key): key is ObjectKey => key !== null && key !== after.tail_key && key !== after.next_tail_key,
  )
}

const partsSchema = z.array(
  z.object({ number: z.int().positive(), size: z.int().nonnegative(), etag: z.string() }),
)

function parseParts(text: string): UploadedPart[] {
  return partsSchema.parse(JSON.parse(text))
}
