import type { Abortable } from '../../storage/abortable.ts'
import type { Digest } from '../../storage/digest.ts'
import type { ScrubProgressRecords } from '../../storage/metadata/scrub-records.ts'
import { type CheckOutcome, type CheckParts, checkBlob } from './check-blob.ts'
import { StoreFailures } from './store-failures.ts'

export interface ScrubBlobsOptions extends Abortable {
  readonly after: Digest | undefined
  readonly mayBeMissing?: (() => boolean) | undefined
}

/** A blob that was looked at. */
export interface CheckedBlob {
  readonly digest: Digest
  readonly outcome: CheckOutcome
}

/** Rows that are asked for at once. */
const blobsAtOnce = 100

/**
 * Reads all blobs after one, in byte order of their digests, one at a time, and tells of each. Where one is refused it
 * ends.
 * @throws DomainError when the store, or the database, does not answer.
 */
export async function* scrubBlobs(
  parts: CheckParts & { readonly records: CheckParts['records'] & Pick<ScrubProgressRecords, 'listBlobs'> },
  { after, mayBeMissing, signal }: ScrubBlobsOptions,
): AsyncGenerator<CheckedBlob> {
  const failures = new StoreFailures(parts.objects)
  for (let last = after; ; ) {
    const blobs = await parts.records.listBlobs(last, blobsAtOnce, { signal })
    for (const blob of blobs) {
      const outcome = await checkBlob(parts, blob, { hashes: true, mayBeMissing, signal }).then(
        result => {
          failures.succeeded()
          return result
        },
        async (error: unknown) => {
          await failures.failed(error, { signal })
          return 'unsettled' as const
        },
      )
      yield { digest: blob.digest, outcome }
      if (outcome === 'refused') return
    }
    if (blobs.length < blobsAtOnce) return
    last = blobs.at(-1)?.digest
  }
}
