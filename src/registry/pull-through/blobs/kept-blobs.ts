import { DomainError, isDomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { BlobInfo } from '../../../storage/blobs/blob-store.ts'
import type { Digest } from '../../../storage/digest.ts'
import type { RepositoryName } from '../../../storage/reference.ts'
import { holderNear } from '../../blob-holder.ts'
import type { UpstreamRepository } from '../upstream.ts'
import type { BlobFetchParts } from './blob-fetch-parts.ts'

/** Of a blob that no manifest of the repository names. */
const maxUnnamedBytes = 16 * 1024 ** 3

/** Bytes of the blob, if the repository has it. */
export async function sizeIn(
  { blobs }: Pick<BlobFetchParts, 'blobs'>,
  repository: RepositoryName,
  digest: Digest,
  options: Abortable,
): Promise<number | undefined> {
  try {
    return (await blobs.repository(repository).stat(digest, options)).size
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}

/**
 * Lets the repository have a blob that another one below the same prefix has, or one that everybody may see. Only upstream
 * can say whether who may pull from this repository may have it, so upstream is asked first. What else we have is not
 * upstream's to give away: it could say so of anything, and only who sends the bytes has them.
 *
 * @returns whether the repository has it now. @throws what upstream answers.
 */
export async function linkWithinPrefix(
  parts: Pick<BlobFetchParts, 'blobs' | 'records' | 'own'>,
  { upstream, repository, source }: UpstreamRepository,
  digest: Digest,
  options: Abortable,
): Promise<boolean> {
  const { records } = parts
  const holder = await holderNear(records, digest, upstream.prefix, options)
  if (holder === undefined) return false
  const size = await sizeIn(parts, holder, digest, options)
  if (size === undefined) return false
  const there = await upstream.ask(aborts => source.statBlob(digest, aborts), options)
  if (there.size !== size) return false
  try {
    return await parts.own(repository).mountBlob({ digest, size }, [holder], options)
  } catch (error) {
    // The quota has no room for it: whoever waits gets it all the same, by the longer way.
    if (isDomainError(error, 'denied')) return false
    throw error
  }
}

/**
 * Whoever pulls has read the size in a manifest; a blob of another one would fail in the end, and might cost a lot before.
 * @throws DomainError `size_mismatch` when there are manifests that name the blob, and none agrees; `too_large` when there
 * are none, and it would be larger than any that is ordinary: upstream alone has said so, and might send without an end.
 */
export async function assertNamedSize(
  { records }: Pick<BlobFetchParts, 'records'>,
  { repository, source }: UpstreamRepository,
  { digest, size }: BlobInfo,
  options: Abortable,
): Promise<void> {
  const named = await records.sizesNamed(repository, digest, options)
  if (named.includes(size)) return
  if (named.length === 0) {
    if (size <= maxUnnamedBytes) return
    throw new DomainError(
      'too_large',
      `${source.label} says that the blob ${digest} has ${size} bytes, which no manifest here confirms; ask for its manifest first.`,
      { resource: 'blob', name: digest },
    )
  }
  throw new DomainError(
    'size_mismatch',
    `${source.label} says that the blob ${digest} has ${size} bytes, where manifests say ${named.join(' or ')}.`,
    { resource: 'blob', name: digest },
  )
}

/**
 * Whether part of the blob is stored and can be gone on with now. Who was killed amid it holds it for as long as its lease,
 * which is longer than clients wait: then it is forgotten, and comes from its beginning for all who wait.
 */
export async function canGoOn(
  { records, blobs }: Pick<BlobFetchParts, 'blobs' | 'records'>,
  repository: RepositoryName,
  digest: Digest,
  options: Abortable,
): Promise<boolean> {
  const upload = await records.findTransfer(repository, digest, options)
  if (upload === undefined) return false
  try {
    await using writer = await blobs.repository(repository).resume(upload, options)
    return writer.offset > 0
  } catch (error) {
    if (!isDomainError(error, 'busy', 'not_found')) throw error
    await records.forgetTransfer(repository, digest, options)
    return false
  }
}

/** Drops what is stored of a blob that has turned out to be another one, so that nobody goes on with it. */
export async function dropStored(
  { records, blobs }: Pick<BlobFetchParts, 'blobs' | 'records'>,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const upload = await records.findTransfer(repository, digest)
  if (upload === undefined) return
  try {
    await using writer = await blobs.repository(repository).resume(upload)
    await writer.cancel()
  } catch (error) {
    if (!isDomainError(error, 'not_found')) throw error
  }
  await records.forgetTransfer(repository, digest)
}
