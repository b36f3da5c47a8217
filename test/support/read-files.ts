import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** The content of all files below a directory, by path, as text. For small trees. */
export function readFiles(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  return Object.fromEntries(
    paths.toSorted().map(path => [relative(directory, path), readFileSync(path, 'utf8')]),
  )
}
