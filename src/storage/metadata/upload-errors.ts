import { DomainError } from '../../errors.ts'
import type { AccountName } from '../accounts/names.ts'
import type { UploadId } from '../blobs/blob-store.ts'

/** Whether an account may go on with a session. What nobody in particular has begun anybody may. @param account undefined: not asked. */
export function mayContinue(
  { account: owner }: { readonly account: AccountName | null },
  account: AccountName | null | undefined,
): boolean {
  return account === undefined || owner === null || owner === account
}

export function unknownUpload(id: UploadId): DomainError {
  return new DomainError(
    'not_found',
    `The upload ${id} does not exist, has expired or is finished; begin a new one.`,
    { resource: 'upload', name: id },
  )
}

export function uploadBusy(id: UploadId): DomainError {
  return new DomainError(
    'busy',
    `Another request is writing to the upload ${id}; try again when it is done.`,
    {
      resource: 'upload',
      name: id,
    },
  )
}

export function lostLease(id: UploadId): DomainError {
  return new DomainError(
    'conflict',
    `Another request has taken over the upload ${id}; ask where it stands and continue there.`,
    { resource: 'upload', name: id },
  )
}
