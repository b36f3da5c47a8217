import type { Abortable } from '../abortable.ts'

/** CONTRACT. What the processes that share a database have to agree on, without anybody who tells them. */
export interface SettingRecords {
  /** The value that is kept under this name: `proposed`, unless somebody has come before. It never changes. */
  agreeOn(name: SettingName, proposed: string, options?: Abortable): Promise<string>
}

/**
 * `upload-secret`: what the states in the Locations of uploads are signed with; `login-secret`: what browsers carry from
 * the start of a login to its end is encrypted with. Both in base64.
 */
export type SettingName = 'upload-secret' | 'login-secret'
