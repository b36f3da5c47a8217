import type { Stats } from 'node:fs'
import { lstat, readdir, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { DomainError, errnoOf } from '../../../errors.ts'
import type { CloneName } from '../chain-store.ts'
import { onDisk } from '../fs-errors.ts'

/** zfsprops(7) gives no bound; paths have this one (PATH_MAX), and something below the mountpoint must be nameable. */
const maxMountpointBytes = 1023

/**
 * Whether a clone may be mounted there, as far as the name tells.
 * @param own directories of the store, which the clone may neither hide nor be within.
 * @throws DomainError `invalid`.
 */
export function checkMountpoint(name: CloneName, mountpoint: string, own: readonly string[]): void {
  const refuse = (why: string): DomainError =>
    new DomainError(
      'invalid',
      `The clone ${name} cannot be mounted at ${JSON.stringify(mountpoint.slice(0, 200))}: ${why}.`,
      {
        resource: 'clone',
        name,
      },
    )
  if (!isAbsolute(mountpoint) || resolve(mountpoint) !== mountpoint)
    throw refuse('write an absolute path without . or .. or a slash at its end')
  if (/\p{Cc}/u.test(mountpoint) || Buffer.byteLength(mountpoint) > maxMountpointBytes)
    throw refuse(`write at most ${maxMountpointBytes} bytes, without control characters`)
  const overlapping = own.find(
    directory => isWithin(mountpoint, directory) || isWithin(directory, mountpoint),
  )
  if (overlapping !== undefined)
    throw refuse(`${overlapping} belongs to the store; choose a directory outside it`)
}

/**
 * Whether the directory is there and empty, or can be made, with no link on the way. ZFS would mount over what is there, or
 * wherever a link leads to.
 * @throws DomainError `conflict`.
 */
export async function requireFree(name: CloneName, mountpoint: string): Promise<void> {
  const refuse = (why: string): DomainError =>
    new DomainError(
      'conflict',
      `The clone ${name} cannot be mounted at ${mountpoint}: ${why}; choose another directory.`,
      {
        resource: 'clone',
        name,
      },
    )
  await onDisk(mountpoint, async () => {
    const existing = await nearestExisting(mountpoint)
    const isLink = (await lstat(existing)).isSymbolicLink()
    if (isLink || (await realpath(existing)) !== existing) throw refuse('there is a symbolic link on the way')
    if (!(await lstat(existing)).isDirectory()) throw refuse(`${existing} is not a directory`)
    if (existing !== mountpoint) return
    if ((await readdir(mountpoint)).length > 0) throw refuse('the directory is not empty')
    if (await isMountPoint(mountpoint)) throw refuse('something is mounted there')
  })
}

/** Whether a file system begins at the path, as far as one can see from outside: it is on another device than its parent. */
export async function isMountPoint(path: string): Promise<boolean> {
  const [info, parent] = await Promise.all([path, dirname(path)].map(lookAt))
  return info?.isDirectory() === true && parent !== undefined && info.dev !== parent.dev
}

function isWithin(path: string, directory: string): boolean {
  const way = relative(directory, path)
  return way === '' || !(way === '..' || way.startsWith('../'))
}

async function nearestExisting(path: string): Promise<string> {
  return (await lookAt(path)) === undefined ? await nearestExisting(dirname(path)) : path
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    // Something that is no directory on the way is what the caller finds out next.
    if (errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
