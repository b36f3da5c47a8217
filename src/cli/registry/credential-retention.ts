import type { Logger } from '../../log.ts'
import { type CredentialRecords, rememberedMs } from '../../storage/metadata/account-records.ts'
import { hourly } from './hourly.ts'

/** Forgets tokens that expired or were revoked more than a month ago: now and every hour. */
export function deleteOldCredentials(
  credentials: Pick<CredentialRecords, 'deleteOldCredentials'>,
  log: Logger,
): AsyncDisposable {
  return hourly(
    async options => {
      const deleted = await credentials.deleteOldCredentials(new Date(Date.now() - rememberedMs), options)
      if (deleted > 0) log.info({ deleted }, 'old credentials deleted')
    },
    error => log.error({ error }, 'old credentials could not be deleted'),
  )
}
