import type { Abortable } from '../abortable.ts'
import type { BackupRecords } from './backup-records.ts'
import type { Database } from './database.ts'
import { type Lease, Leases } from './leases.ts'

/** There is one for all. */
const name = ''

export class KyselyBackups implements BackupRecords {
  readonly #leases: Leases

  constructor(database: Database, now: () => number) {
    this.#leases = new Leases(database, 'backup', now)
  }

  leaseBackup(lease: Lease, options?: Abortable): Promise<boolean> {
    return this.#leases.take(name, lease, options)
  }

  releaseBackup(holder: string, options?: Abortable): Promise<void> {
    return this.#leases.release(name, holder, options)
  }

  isBackupLeased(options?: Abortable): Promise<boolean> {
    return this.#leases.isHeld(name, options)
  }
}
