import { constants, lstat, open, readdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDomainError } from '../../../errors.ts'
import { onDisk } from '../fs-errors.ts'

/** With less than this to spare, ZFS of before 2015 refuses even to roll back, and so keeps what fills it. */
const tightBytes = 4 * 1024 * 1024
/** Freed blocks come back after a few transaction groups. */
const freedAfterMs = 5000
const pollMs = 100

/**
 * Before a rollback in a full pool: empties the files that it would take back anyway. That is the one change that a full
 * zfs-fuse always allows; where it cannot roll back, it cannot remove a file either. OpenZFS may refuse it (ENOSPC) and rolls
 * back all the same, so that what fails here is no reason not to try.
 * @param since milliseconds since 1970: what was changed before it is in a snapshot, so that emptying it frees nothing.
 */
export async function relieve(rootfs: string, since: number): Promise<void> {
  try {
    await onDisk(rootfs, async () => {
      if (!(await isTight(rootfs))) return
      await emptyFiles(rootfs, since)
      for (let waited = 0; waited < freedAfterMs && (await isTight(rootfs)); waited += pollMs)
        await sleep(pollMs)
    })
  } catch (error) {
    if (!isDomainError(error)) throw error
  }
}

async function isTight(path: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize < tightBytes
}

async function emptyFiles(directory: string, since: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    // A name that is no text is not found under this path, and left to the rollback.
    const info = await lstat(path).catch(() => undefined)
    if (info?.isDirectory()) await emptyFiles(path, since)
    else if (info?.isFile() && info.size > 0 && info.ctimeMs >= since) await empty(path)
  }
}

/** Never through a link, though nobody but us writes here. */
async function empty(path: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW)
  await file.close()
}
