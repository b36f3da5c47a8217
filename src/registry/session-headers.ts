import type { AccountName } from '../storage/accounts/names.ts'
import type { UploadStatus } from '../storage/blobs/blob-store.ts'
import type { RepositoryName } from '../storage/reference.ts'
import { uploadPath, uploadRange } from './locations.ts'
import type { Headers } from './reply.ts'
import type { UploadStates } from './upload-state.ts'

/** Where a client goes on with an upload session, and from which byte. Docker reads the id from a header of its own. */
export function sessionHeaders(
  repository: RepositoryName,
  { id, offset }: UploadStatus,
  states: UploadStates,
  account: AccountName | null,
): Headers {
  return {
    Location: uploadPath(repository, id, states.sign(id, offset, account)),
    Range: uploadRange(offset),
    'Docker-Upload-UUID': id,
  }
}
