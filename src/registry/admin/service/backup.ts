import type { BackupRecord } from '../../../storage/backups/backup-record.ts'
import { newestFirst } from '../../backup/newest-first.ts'
import { backupListView, type BackupRunView, backupRunView } from '../backup-views.ts'
import type { backupOperations } from '../operations/backup.ts'
import { viewOf } from '../views.ts'
import type { AdminParts, Implementations } from './parts.ts'

/** What each operation on backups does. */
export function createBackupAdministration({
  metadata,
  backup,
}: AdminParts): Implementations<keyof typeof backupOperations> {
  return {
    'backup.list': async (_input, { signal }) => {
      const isUnderWay = await metadata.isBackupLeased({ signal })
      const backups = newestFirst(await backup.list({ signal }), Date.now())
      return viewOf(backupListView, { everyHours: backup.everyHours, isUnderWay, backups })
    },
    'backup.run': async (_input, { signal }) => runOf(await backup.run({ signal })),
    'backup.verify': async ({ backup: id }, { signal }) => runOf(await backup.verify(id, { signal })),
  }
}

function runOf(found: BackupRecord | undefined): BackupRunView {
  return viewOf(backupRunView, {
    outcome: found === undefined ? 'running' : 'done',
    backup: found ?? null,
  })
}
