import type { Abortable } from '../abortable.ts'

/** CONTRACT. What the processes that share a database have to agree on, without anybody who tells them. */
export interface SettingRecords {
  /** The value that is kept under this name: `proposed`, unless somebody has come before. It never changes. */
  agreeOn(name: SettingName, proposed: string, options?: Abortable): Promise<string>
}

/** A setting that is there while a database that is restored may not be used yet: the backup's name. */
export const unfinishedRestore = 'unfinished-restore'

/**
 * `instance-id`: which registry this is, whatever machine its database moves to; `upload-secret`: what the states in the
 * Locations of uploads are signed with; `login-secret`: what browsers carry from the start of a login to its end is
 * encrypted with. The last two in base64. `pulls-noted-since`: from when on the last pull of each manifest is known, as a
 * moment of RFC 3339. `hop-id`: what the registry calls itself to those that it asks for its clients, no secret
 * (`storage/remote/hops.ts`).
 */
export type SettingName =
  | 'hop-id'
  | 'upload-secret'
  | 'login-secret'
  | 'pulls-noted-since'
  | 'instance-id'
  | typeof unfinishedRestore
