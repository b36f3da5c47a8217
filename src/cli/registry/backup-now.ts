import type { Config } from '../../config.ts'
import type { DomainError } from '../../errors.ts'
import type { AdminParts } from '../../registry/admin/service/parts.ts'
import type { Abortable } from '../../storage/abortable.ts'
import { printable } from '../printable.ts'
import { createBackupRuns, createBackupStore, oldOnesAreLeft } from './backup.ts'
import { openStores, type Stores } from './stores.ts'

const tell = ({ message }: DomainError): void => {
  process.stderr.write(`${oldOnesAreLeft}: ${printable(message)}\n`)
}

/** Backups for a command, which waits for whatever it has begun. */
export function backupsOf(config: Config): Omit<AdminParts['backup'], 'everyHours'> {
  const within = async <Result>(
    options: Abortable,
    work: (stores: Stores) => Promise<Result>,
  ): Promise<Result> => {
    await using stores = await openStores(config, { migrate: config.database.migrate, ...options })
    return await work(stores)
  }
  return {
    list: options => within(options, ({ objects }) => createBackupStore(config, objects).list(options)),
    run: options =>
      within(options, stores => createBackupRuns(config, stores, { onDeletionFailure: tell }).run(options)),
    verify: (id, options) =>
      within(options, ({ objects }) => createBackupStore(config, objects).verify(id, options)),
  }
}
