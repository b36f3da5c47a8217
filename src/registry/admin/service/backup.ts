import { backupListView, backupRunView, backupView } from '../backup-views.ts'
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
      const backups = await backup.list({ signal })
      return viewOf(backupListView, { everyHours: backup.everyHours, isUnderWay, backups })
    },
    'backup.run': async (_input, { signal }) => {
      const made = await backup.run({ signal })
      return viewOf(backupRunView, {
        outcome: made === undefined ? 'running' : 'done',
        backup: made ?? null,
      })
    },
    'backup.verify': async ({ backup: id }, { signal }) =>
      viewOf(backupView, await backup.verify(id, { signal })),
  }
}
