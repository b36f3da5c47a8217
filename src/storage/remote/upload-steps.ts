import type { Readable } from 'node:stream'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { OpenBlobFrom } from '../images/image-repository.ts'
import { abortWith } from '../streams/abort-with.ts'
import { pushAccess } from './access.ts'
import type { AskedRepository } from './blob-reads.ts'
import { saysAnyOf } from './explanation.ts'
import { ResumedBlob } from './resumed-blob.ts'
import { beginUpload, type UploadSession } from './upload-session.ts'

/** @throws DomainError as the client does. */
export async function beginSession(asked: AskedRepository, options: Abortable): Promise<UploadSession> {
  const begun = await beginUpload(asked, {}, options)
  if ('created' in begun) throw new Error('what is not mounted begins a session')
  return begun.session
}

/** A source that breaks off is none of the registry's business: it goes on within the same request. */
export async function openSource(
  { client: { sleep } }: AskedRepository,
  open: OpenBlobFrom,
  offset: number,
  { signal }: Abortable,
): Promise<Readable> {
  const first = await open(offset, { signal })
  const reopen = async (at: number, closing: Abortable): Promise<Readable> => {
    const signals = [signal, closing.signal].filter(one => one !== undefined)
    return await open(at, { signal: AbortSignal.any(signals) })
  }
  return abortWith(new ResumedBlob({ first, offset, reopen, sleep }), signal)
}

/** @throws DomainError `digest_mismatch` when the registry says so, and as the client does. */
export async function closeUpload(
  { client, repository }: AskedRepository,
  session: UploadSession,
  { digest }: BlobInfo,
  bytes: Uint8Array,
  options: Abortable,
): Promise<void> {
  const answer = await session.close(digest, bytes, options)
  if ([200, 201, 204].includes(answer.status)) return
  // The answer to the one before may have been lost.
  const isGone = answer.status === 404 || answer.status === 416
  if (isGone && (await client.hasBlob(repository, digest, options, pushAccess(repository)))) return
  const failure = session.failure(answer)
  if (!saysAnyOf(answer.bytes, 'DIGEST_INVALID')) throw failure
  throw new DomainError('digest_mismatch', failure.message, { resource: 'blob', name: digest })
}

/** Of a repository, for errors. */
export function nameOf({ client, repository }: AskedRepository): string {
  return `${client.registry}/${repository}`
}
