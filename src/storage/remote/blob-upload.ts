import { pipeline } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Abortable } from '../abortable.ts'
import type { BlobInfo } from '../blobs/blob-store.ts'
import type { OpenBlobFrom, PutBlobOptions } from '../images/image-repository.ts'
import { VerifyStream } from '../streams/verify.ts'
import type { AskedRepository } from './blob-reads.ts'
import { StreamedUpload } from './streamed-upload.ts'
import { beginSession, closeUpload, nameOf, openSource } from './upload-steps.ts'

/** What is sent at once, and again when that fails. Bytes. */
export const smallBytes = 256 * 1024

/**
 * Sends a blob. Its digest is known before the request that closes the upload, so what is something else never gets a
 * name. What breaks off goes on where the registry says that it stands.
 *
 * @throws DomainError `digest_mismatch`, `size_mismatch` when the source has something else, or the registry says so;
 * what the source fails with; and as the client does.
 */
export async function putRemoteBlob(
  asked: AskedRepository,
  blob: BlobInfo,
  open: OpenBlobFrom,
  options: PutBlobOptions,
): Promise<void> {
  if (blob.size <= smallBytes) await putAtOnce(asked, blob, open, options)
  else await new StreamedUpload(asked, blob, open, options).run()
}

async function putAtOnce(
  asked: AskedRepository,
  blob: BlobInfo,
  open: OpenBlobFrom,
  { onStored, signal }: PutBlobOptions,
): Promise<void> {
  const bytes = await readWhole(asked, blob, open, { signal })
  const session = await beginSession(asked, { signal })
  try {
    await closeUpload(asked, session, blob, bytes, { signal })
  } catch (error) {
    await session.cancel()
    throw error
  }
  asked.client.traffic.bytes('sent', bytes.length)
  onStored?.(bytes.length, { kept: 0 })
}

async function readWhole(
  asked: AskedRepository,
  { digest, size }: BlobInfo,
  open: OpenBlobFrom,
  options: Abortable,
): Promise<Buffer> {
  const what = { resource: 'blob', name: `${digest} for ${nameOf(asked)}` } as const
  const source = await openSource(asked, open, 0, options)
  return await buffer(pipeline(source, new VerifyStream({ digest, size, what }), () => {}))
}
