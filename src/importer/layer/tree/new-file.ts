import { closeSync, fchmodSync, fchownSync, ftruncateSync, futimesSync, writeSync } from 'node:fs'
import type { Attributes } from '../entry.ts'
import { setTime } from './file-times.ts'

/** A descriptor of a file that has just been made, and what the system has made it like. */
export interface MadeFile {
  readonly descriptor: number
  /** Its permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export type FileAttributes = Pick<Attributes, 'mode' | 'uid' | 'gid' | 'mtime'>

/** A file that has just been made and is open for writing: content first, then {@link describe}, then {@link close}. */
export class NewFile {
  readonly made: MadeFile

  constructor(made: MadeFile) {
    this.made = made
  }

  /** All of it: write(2) may take less. @param position undefined: where the last write ended. */
  write(bytes: Uint8Array, position?: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(
        this.made.descriptor,
        bytes,
        done,
        bytes.length - done,
        position === undefined ? null : position + done,
      )
  }

  /** What has not been written is a hole. */
  setSize(size: number): void {
    ftruncateSync(this.made.descriptor, size)
  }

  /**
   * Owner, then mode (chown clears setuid), then time: the content must be written before. Calls that would change
   * nothing are left out. @returns whether it has another time than it should.
   */
  describe({ mode, uid, gid, mtime }: FileAttributes): boolean {
    const { made } = this
    if (uid !== made.uid || gid !== made.gid) fchownSync(made.descriptor, uid, gid)
    if (mode !== made.mode) fchmodSync(made.descriptor, mode)
    return setTime(mtime, time => futimesSync(made.descriptor, time, time))
  }

  close(): void {
    closeSync(this.made.descriptor)
  }
}
