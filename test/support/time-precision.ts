import { mkdtemp, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'

/** What the file system of a directory keeps of a modification time: zfs-fuse keeps whole seconds. */
export async function timePrecisionOf(directory: string): Promise<'nanoseconds' | 'seconds'> {
  const probe = await mkdtemp(join(directory, 'probe-'))
  try {
    await utimes(probe, 1.5, 1.5)
    return (await stat(probe)).mtimeMs === 1500 ? 'nanoseconds' : 'seconds'
  } finally {
    await rm(probe, { recursive: true })
  }
}
