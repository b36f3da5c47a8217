import { join } from 'node:path'
import { varveProgram } from '../../test/support/varve.ts'
import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

/** The whole way: from a registry over HTTP, verified, into a directory store that survives a crash. */
export const varveImport: ImportContender = {
  name: 'varve import',
  isOurs: true,
  programs: [],
  run: ({ image }, directory) =>
    measure({
      program: varveProgram,
      args: ['import', '--chains', join(directory, 'chains'), '--json', image],
      directory,
    }),
}
