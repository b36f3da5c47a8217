import * as z from 'zod'
import { parseBackupId } from '../../../storage/objects/keys.ts'
import { backupListView, backupRunView } from '../backup-views.ts'
import { adminEndpoint } from '../operation.ts'

const none = z.strictObject({})
const id = z.string().max(64).transform(parseBackupId).describe('As the listing shows it.')

/** Copies of the database in the object store. They are restored by `varve restore` only. */
export const backupOperations = {
  'backup.list': adminEndpoint({
    method: 'GET',
    path: '/api/v1/backups',
    summary: 'Lists the backups of the database that are in the object store, newest first.',
    resource: 'backup',
    input: none,
    output: backupListView,
    status: 200,
  }),
  'backup.run': adminEndpoint({
    method: 'POST',
    path: '/api/v1/backups',
    summary:
      'Makes a backup of the database and reads it back; it goes on when that takes longer than some seconds.',
    resource: 'backup',
    input: none,
    output: backupRunView,
    status: 201,
  }),
  'backup.verify': adminEndpoint({
    method: 'POST',
    path: '/api/v1/backups/:backup/verifications',
    summary:
      'Reads all of a backup and compares it with what was written; asked again while the outcome is `running`, until that has ended.',
    resource: 'backup',
    input: z.strictObject({ backup: id }),
    output: backupRunView,
    status: 201,
    failures: ['invalid backup'],
  }),
} as const
