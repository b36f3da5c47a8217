import { globSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'

/** Where they are, from the work tree. */
export const plainDirectory = '.plain'

/**
 * Writes the modules of a work tree without their types, each line and column where it was, below `directory`. There
 * WebAssembly does it for each process anew otherwise, which is what an emulated processor is slowest at.
 */
export async function writePlainSources(tree: string, directory: string): Promise<void> {
  for (const path of globSync('{src,test,bench}/**/*.ts', { cwd: tree })) {
    const to = join(directory, plainDirectory, path.replace(/ts$/, 'js'))
    await mkdir(dirname(to), { recursive: true })
    await writeFile(to, stripTypeScriptTypes(await readFile(join(tree, path), 'utf8')))
  }
}
