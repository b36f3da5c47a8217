import * as z from 'zod'

/** What administration answers of backups, as JSON has it; as `views.ts`. */

const moment = z.iso.datetime()

export const backupView = z.object({
  id: z.string(),
  madeAt: moment,
  /** When all of it had been read back. */
  verifiedAt: moment,
  /** Of the Varve that made it. */
  version: z.string(),
  engine: z.enum(['sqlite', 'postgres']),
  /** Which registry it is of. */
  instance: z.string(),
  isEncrypted: z.boolean(),
  /** Bytes, as they are stored. */
  size: z.int(),
  /** Of the bytes, as they are stored. */
  digest: z.string(),
  rows: z.int(),
  /** Of the newest event that it has. */
  eventPosition: z.int(),
})
export type BackupView = z.output<typeof backupView>

export const backupListView = z.object({
  /** `backup.everyHours` of the configuration; 0: none is made by itself. */
  everyHours: z.number(),
  /** Whether a process makes one at this moment. */
  isUnderWay: z.boolean(),
  /** Whole ones, newest first; those that a wrong clock has made in the future last. */
  backups: z.array(backupView),
})
export type BackupListView = z.output<typeof backupListView>

export const backupRunView = z.object({
  /** `running`: it takes longer than a request should. The listing shows a new backup when it is done; a verification is asked for again. */
  outcome: z.enum(['done', 'running']),
  backup: backupView.nullable(),
})
export type BackupRunView = z.output<typeof backupRunView>
