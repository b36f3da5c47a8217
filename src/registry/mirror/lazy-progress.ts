import type { BlobInfo } from '../../storage/blobs/blob-store.ts'
import type { Digest } from '../../storage/digest.ts'
import type { CopyProgress } from '../../storage/images/copy-image.ts'

/**
 * Asks who is to be told only when something is copied: of most images that are looked at again nothing is. What is there
 * already is not told of then.
 */
export function lazyProgress(ask: () => CopyProgress | undefined): CopyProgress {
  let asked: { readonly told: CopyProgress | undefined } | undefined
  const begun = new Set<Digest>()
  const told = (): CopyProgress | undefined => {
    asked ??= { told: ask() }
    return asked.told
  }
  const isFirst = (digest: Digest): boolean => {
    if (begun.has(digest)) return false
    begun.add(digest)
    return true
  }
  const tellBlobBegun = (blob: BlobInfo): void => {
    if (isFirst(blob.digest)) told()?.blob?.(blob, 'begun')
  }
  return {
    manifest: (digest, what) => {
      if (what !== 'copied') return
      if (isFirst(digest)) told()?.manifest?.(digest, 'begun')
      told()?.manifest?.(digest, what)
    },
    blob: (blob, what) => {
      if (what !== 'copied' && what !== 'mounted') return
      tellBlobBegun(blob)
      told()?.blob?.(blob, what)
    },
    bytes: (blob, stored) => {
      tellBlobBegun(blob)
      told()?.bytes?.(blob, stored)
    },
  }
}
