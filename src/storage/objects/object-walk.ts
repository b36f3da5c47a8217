import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../errors.ts'
import { sizeOfFile } from './durable-files.ts'
import { isListed } from './keys.ts'
import type { ObjectInfo } from './object-store.ts'

/**
 * Objects below a directory in byte order of their keys. A file whose name is no key is no object. Only directories
 * that can hold a wanted key are read.
 */
export async function* walkObjects(
  root: string,
  wanted: { readonly prefix: string; readonly after: string },
  path = '',
): AsyncGenerator<ObjectInfo> {
  for (const name of await namesIn(join(root, path))) {
    const key = path + name
    if (!mayLeadTo(key, wanted)) continue
    if (key.endsWith('/')) yield* walkObjects(root, wanted, key)
    else if (isListed(key, wanted.prefix)) {
      const size = await sizeOfFile(join(root, key))
      // It may have been deleted while the walk went on.
      if (size !== undefined) yield { key, size }
    }
  }
}

/** A directory's name ends in `/`, so that the order of names is that of keys: byte order, since keys are ASCII. */
async function namesIn(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

function mayLeadTo(key: string, { prefix, after }: { prefix: string; after: string }): boolean {
  if (key.endsWith('/')) return overlaps(key, prefix) && (key > after || after.startsWith(key))
  return key.startsWith(prefix) && key > after
}

function overlaps(one: string, other: string): boolean {
  return one.startsWith(other) || other.startsWith(one)
}
