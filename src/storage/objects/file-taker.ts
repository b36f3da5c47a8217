import type { Abortable } from '../abortable.ts'
import type { ObjectKey } from './keys.ts'

/** CONTRACT. A power that only an object store on this machine's disks has. */
export interface FileTaker {
  /**
   * Makes the content of a file an object without copying it. From then on both live on their own, so the file may be
   * deleted, but must never be written to again.
   *
   * @param path of a regular file; a symlink is not followed.
   * @returns false when that takes a copy, as between file systems, or may not be; there is no object then.
   * @throws DomainError `not_found`, `no_space`, `unavailable`.
   */
  takeFile(key: ObjectKey, path: string, options?: Abortable): Promise<boolean>
}
