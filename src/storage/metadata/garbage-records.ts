import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from '../objects/keys.ts'

/**
 * CONTRACT. Objects that nothing names any more. A key is written down in the transaction that lets go of it, so that whoever
 * deletes the object may fail, or die, and still nothing leaks. Keys are never used again, so there is no hurry.
 */
export interface GarbageRecords {
  /** At most `limit` keys of objects that may be deleted by now, those that have waited longest first. */
  listGarbage(limit: number, options?: GarbageSearch): Promise<ObjectKey[]>
  /** Call when their objects have been deleted. Absent keys are success. */
  forgetGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
  /** Lets all others go first: their objects could not be deleted. Absent keys are success. */
  postponeGarbage(keys: readonly ObjectKey[], options?: Abortable): Promise<void>
}

export interface GarbageSearch extends Abortable {
  /** Only what was never a blob. */
  readonly ofUploads?: boolean | undefined
}
