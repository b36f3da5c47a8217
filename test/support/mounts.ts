import { readFile, realpath, rm } from 'node:fs/promises'
import { exec } from './process.ts'

/**
 * Removes a directory in which outside programs have worked. They may have left mounts there, and a removal
 * that walked through one of those would eat into this machine.
 */
export async function removeWithMounts(directory: string): Promise<void> {
  const real = await realpath(directory)
  for (const mountpoint of await mountsBelow(real)) await exec('umount', ['--lazy', mountpoint])
  await rm(real, { recursive: true, force: true })
}

/** Innermost first, which is the order in which they can be unmounted. */
async function mountsBelow(directory: string): Promise<string[]> {
  const table = await readFile('/proc/self/mounts', 'utf8')
  return table
    .split('\n')
    .map(line => unescapeOctal(line.split(' ')[1] ?? ''))
    .filter(mountpoint => mountpoint.startsWith(`${directory}/`))
    .reverse()
}

/** proc(5): blanks and backslashes stand as `\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
