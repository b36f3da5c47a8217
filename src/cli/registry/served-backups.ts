import type { Config } from '../../config.ts'
import type { DomainError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { AdminParts } from '../../registry/admin/service/parts.ts'
import { LongRun } from '../../registry/backup/long-run.ts'
import { JoinedRuns } from '../../registry/joined-runs.ts'
import type { BackupRecord } from '../../storage/backups/backup-record.ts'
import type { Stores } from './stores.ts'

/** Backups for requests: what takes long goes on without them. */
export function servedBackups(
  config: Config,
  stores: Stores,
  log: Logger,
): AdminParts['backup'] & AsyncDisposable {
  // They are asked for now and then.
  const load = () => import('./backup.ts')
  const run = new LongRun(
    async options => {
      const { createBackupRuns, oldOnesAreLeft } = await load()
      const onDeletionFailure = (error: DomainError): void => log.warn({ error }, oldOnesAreLeft)
      return await createBackupRuns(config, stores, { onDeletionFailure }).run(options)
    },
    error => log.error({ error }, 'a backup that somebody has asked for could not be made'),
  )
  const verifications = new JoinedRuns<BackupRecord>({
    onFailure: error => log.error({ error }, 'a backup that somebody has asked to verify is not whole'),
  })
  return {
    everyHours: config.backup.everyHours,
    list: async options => await (await load()).createBackupStore(config, stores.objects).list(options),
    run: options => run.start(options),
    verify: (id, options) =>
      verifications.join(
        id,
        async own => await (await load()).createBackupStore(config, stores.objects).verify(id, own),
        options,
      ),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([run[Symbol.asyncDispose](), verifications[Symbol.asyncDispose]()])
    },
  }
}
