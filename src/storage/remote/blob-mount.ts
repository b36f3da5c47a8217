import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { RepositoryName } from '../reference.ts'
import type { AskedRepository } from './blob-reads.ts'
import { smallBytes } from './blob-upload.ts'
import { beginUpload } from './upload-session.ts'

/** Repositories that are tried. Each costs two requests when it does not have the blob. */
const maxSources = 3

/**
 * Has the blob from another repository of the registry, or a larger one from wherever it has it (distribution-spec,
 * "Mounting a blob from another repository"). A registry that cannot begins an upload instead, which is ended.
 *
 * @throws DomainError `unavailable`, `throttled`: other refusals are told by the upload that comes after this.
 */
export async function mountRemoteBlob(
  asked: AskedRepository,
  { digest, size }: BlobInfo,
  from: readonly RepositoryName[],
  options: Abortable,
): Promise<boolean> {
  const sources = [...new Set(from)].filter(name => name !== asked.repository).slice(0, maxSources)
  // Few registries know of themselves where a blob is, and a small one costs no more requests to send.
  const anywhere = size > smallBytes ? [undefined] : []
  for (const source of [...sources, ...anywhere]) {
    try {
      const query = source === undefined ? { mount: digest } : { mount: digest, from: source }
      const begun = await beginUpload(asked, query, options)
      if ('created' in begun) return true
      await begun.session.cancel()
    } catch (error) {
      if (!isDomainError(error) || isDomainError(error, 'unavailable', 'throttled')) throw error
    }
  }
  return false
}
