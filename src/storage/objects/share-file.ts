import { constants } from 'node:fs'
import { copyFile, link, open, rm } from 'node:fs/promises'
import { errnoOf } from '../../errors.ts'

/** What link(2) and ioctl_ficlone(2) say of what a file system, or this user, cannot do. */
const cannot: ReadonlySet<string | undefined> = new Set([
  ...['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'EINVAL', 'EBADF', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'ENOTTY'],
])

/** Another name for a file, whose bytes are on the disk then. @returns false where that cannot be. */
export function linkFile(path: string, target: string): Promise<boolean> {
  return shared(target, () => link(path, target))
}

/** Another file that shares the space of the first one. @returns false where that cannot be. */
export function cloneFile(path: string, target: string): Promise<boolean> {
  return shared(target, () =>
    copyFile(path, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE),
  )
}

async function shared(target: string, make: () => Promise<void>): Promise<boolean> {
  try {
    await make()
  } catch (error) {
    if (cannot.has(errnoOf(error))) return false
    throw error
  }
  try {
    const file = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      await file.datasync()
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    await rm(target, { force: true })
    throw error
  }
}
