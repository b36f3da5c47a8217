import type { Abortable } from '../abortable.ts'
import type { Lease } from './leases.ts'

/** CONTRACT. Who makes a backup: one process at a time, among all that share the database. */
export interface BackupRecords {
  /** Takes the lease, or extends it; false while another process has it. */
  leaseBackup(lease: Lease, options?: Abortable): Promise<boolean>
  releaseBackup(holder: string, options?: Abortable): Promise<void>
  isBackupLeased(options?: Abortable): Promise<boolean>
}
