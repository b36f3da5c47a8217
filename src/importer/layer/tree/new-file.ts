import { closeSync, fchmodSync, fchownSync, ftruncateSync, futimesSync, writeSync } from 'node:fs'
import type { Attributes } from '../entry.ts'
import type { Creation } from './directory.ts'
import { setTime } from './file-times.ts'

/** A file that has just been made and is open for writing: content first, then {@link describe}, then {@link close}. */
export class NewFile {
  readonly #file: number
  /** As it is now. */
  readonly #mode: number
  readonly #owner: Pick<Creation, 'uid' | 'gid'>

  constructor(file: number, mode: number, owner: Pick<Creation, 'uid' | 'gid'>) {
    this.#file = file
    this.#mode = mode
    this.#owner = owner
  }

  /** All of it: write(2) may take less. @param position undefined: where the last write ended. */
  write(bytes: Uint8Array, position?: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(
        this.#file,
        bytes,
        done,
        bytes.length - done,
        position === undefined ? null : position + done,
      )
  }

  /** What has not been written is a hole. */
  setSize(size: number): void {
    ftruncateSync(this.#file, size)
  }

  /**
   * Owner, then mode (chown clears setuid), then time: the content must be written before. Calls that would change
   * nothing are left out. @returns whether it has another time than it should.
   */
  describe({ mode, uid, gid, mtime }: Attributes): boolean {
    if (uid !== this.#owner.uid || gid !== this.#owner.gid) fchownSync(this.#file, uid, gid)
    if (mode !== this.#mode) fchmodSync(this.#file, mode)
    return setTime(mtime, time => futimesSync(this.#file, time, time))
  }

  close(): void {
    closeSync(this.#file)
  }
}
