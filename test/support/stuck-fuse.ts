import { isZfsInKernel } from './zfs.ts'

/**
 * What zfs-fuse says when a process was killed, or a file was looked up, at the wrong moment: it believes for ever that a
 * dataset is in use, or dies of an assertion of its own. No patience helps, only a new daemon with a new pool.
 */
const stuck = /dataset is busy|umount failed|zfs-fuse died|zfs-fuse was started, but/

/** Whether a suite that needs a pool may have failed because of zfs-fuse. A kernel's ZFS has no such excuse. */
export function mayBeStuckFuse(reasons: string, isInKernel: boolean = isZfsInKernel): boolean {
  return !isInKernel && stuck.test(reasons)
}
