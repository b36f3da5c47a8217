import { setTimeout as sleep } from 'node:timers/promises'
import type { Abortable } from '../../storage/abortable.ts'
import { algorithmOf } from '../../storage/digest.ts'
import type { StoredBlob } from '../../storage/metadata/blob-records.ts'
import { type BlobVerdict, blobVerdict } from './blob-verdict.ts'
import { type Reading, type ReadObjectParts, readObject, sizeObject } from './read-object.ts'

export interface ExamineParts extends ReadObjectParts {
  /** Between two looks at what was wrong. */
  readonly pauseMs: number
}

/**
 * Whether the store has the blob's bytes. A store that does not answer proves nothing, so it is asked at the end whether
 * it is there at all.
 * @param hashes whether the bytes are read, or only the object's size is asked for.
 * @throws DomainError `unavailable`.
 */
export async function examineBlob(
  parts: ExamineParts,
  { digest, size, objectKey }: StoredBlob,
  { hashes, signal }: Abortable & { readonly hashes: boolean },
): Promise<Exclude<BlobVerdict, { kind: 'again' }>> {
  const readings: Reading[] = []
  const wanted = { size, algorithms: [algorithmOf(digest)] }
  for (;;) {
    readings.push(
      hashes
        ? await readObject(parts, objectKey, wanted, { signal })
        : await sizeObject(parts, objectKey, { signal }),
    )
    const verdict = blobVerdict({ digest, size }, readings, hashes)
    if (verdict.kind === 'missing' || verdict.kind === 'corrupt') await parts.objects.ping({ signal })
    if (verdict.kind !== 'again') return verdict
    await sleep(parts.pauseMs, undefined, { signal })
  }
}
