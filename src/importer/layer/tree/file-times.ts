import { errnoOf } from '../../../errors.ts'

/** The last second of a file system with 32-bit times, such as that of zfs-fuse. OpenZFS takes all that fit 64 bits. */
export const lastCommonSecond = 2 ** 31 - 1

/**
 * Sets a time, in seconds since 1970, through `set`. Where the file system has no room for it, the last time that
 * it has is set instead, as for times that no file system has.
 *
 * Node takes times as numbers, so whole seconds are exact and fractions are to 240 nanoseconds, always the same.
 * @returns whether it is another time than was asked for.
 */
export function setTime(mtime: number, set: (mtime: number) => void): boolean {
  try {
    set(exactly(mtime))
    return false
  } catch (error) {
    if (errnoOf(error) !== 'EOVERFLOW') throw error
    set(lastCommonSecond)
    return true
  }
}

/** Node truncates to whole nanoseconds, which a number just below one would lose; half of one prevents that. */
function exactly(seconds: number): number {
  return seconds + 0.5e-9
}
