import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'

/** As if the lock files of a directory had been made long ago: those of the last minute are passed over by a reclaim. */
export async function ageLocks(directory: string): Promise<void> {
  const longAgo = new Date(Date.now() - 60 * 60_000)
  for (const name of await readdir(directory)) await utimes(join(directory, name), longAgo, longAgo)
}
