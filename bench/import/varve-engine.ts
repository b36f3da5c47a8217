import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

/** The layer engine alone, from the blob's file to a directory: what `tar -x` does, with both digests verified. */
export const varveEngine: ImportContender = {
  name: 'varve engine',
  isOurs: true,
  programs: [],
  run: async ({ layerFile, layer }, directory) => {
    const rootfs = join(directory, 'rootfs')
    await mkdir(rootfs)
    const program = join(import.meta.dirname, 'engine-program.ts')
    return await measure({
      program: process.execPath,
      args: [program, layerFile, rootfs, JSON.stringify(layer)],
      directory,
    })
  },
}
