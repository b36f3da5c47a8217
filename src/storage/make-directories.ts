import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { errnoOf } from '../errors.ts'

/**
 * Makes a directory and those above it, for their owner alone. Node's own `recursive` goes round for ever where the
 * directory above exists and none can be made in it nevertheless (ENOENT below /proc).
 *
 * @returns the topmost one that was made; undefined when all were there.
 * @throws what `mkdir` throws; ENOTDIR for what is there and no directory.
 */
export async function makeDirectories(path: string): Promise<string | undefined> {
  const directory = resolve(path)
  try {
    return await makeOne(directory)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || directory === dirname(directory)) throw error
  }
  const topmost = await makeDirectories(dirname(directory))
  const made = await makeOne(directory)
  return topmost ?? made
}

/** @returns the directory, unless it was there. */
async function makeOne(directory: string): Promise<string | undefined> {
  try {
    await mkdir(directory, { mode: 0o700 })
    return directory
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    if ((await stat(directory)).isDirectory()) return undefined
    throw Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${directory}'`), {
      code: 'ENOTDIR',
      syscall: 'mkdir',
      path: directory,
    })
  }
}
