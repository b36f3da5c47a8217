import { dirname } from 'node:path'
import { exec } from '../support/process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { plainDirectory, writePlainSources } from './plain-sources.ts'

const home = dirname(dirname(import.meta.dirname))

/** Tools that check sources, and what no suite reads: half of all bytes. */
const left: readonly string[] = [
  './.cache',
  './.git',
  './data',
  './dist',
  './node_modules/.cache',
  './node_modules/@biomejs',
  './node_modules/@oxlint',
  './node_modules/@oxlint-tsgolint',
  './node_modules/@typescript',
  './node_modules/typescript',
  './toolchain/node_modules/npm',
]

/**
 * Writes the work tree, its modules without types, its packages and its Node into a tar archive that serves as a machine's disk: nothing has to be
 * mounted on either side. Archives are as long as so many sectors of a disk.
 */
export async function writeWorkTree(tar: string): Promise<void> {
  const without = left.map(path => `--exclude=${path}`)
  const form = ['--format=gnu', '--anchored', ...without]
  await using plain = await temporaryDirectory()
  await writePlainSources(home, plain.path)
  const directories = ['--directory', home, '.', '--directory', plain.path, `./${plainDirectory}`]
  await exec('tar', [...form, '--create', '--file', tar, ...directories])
}
