import { readdirSync, readlinkSync } from 'node:fs'

/** Paths of the files below `directory` that this process has open; ` (deleted)` stands after those without a name. */
export function openFilesBelow(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(descriptor => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`)
      return path.startsWith(`${directory}/`) ? [path] : []
    } catch {
      // The descriptor of the listing itself.
      return []
    }
  })
}
