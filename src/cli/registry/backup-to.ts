import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import type { Abortable } from '../../storage/abortable.ts'
import type { BackupRecord } from '../../storage/backups/backup-record.ts'
import { FilesystemObjectStore } from '../../storage/objects/filesystem.ts'
import { useDirectory } from '../use-directory.ts'
import { createBackupRuns } from './backup.ts'
import { openMetadata } from './stores.ts'

/** Backs up into a directory, which is laid out as an object store is; nothing in it is ever deleted. */
export async function backUpTo(directory: string, config: Config, options: Abortable): Promise<BackupRecord> {
  const path = resolve(directory)
  await useDirectory(path, '--to')
  const objects = await FilesystemObjectStore.open(path, options)
  await using metadata = await openMetadata(config, { migrate: config.database.migrate, ...options })
  return await createBackupRuns(config, { metadata, objects }, { keep: 0 }).run(options)
}
