import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

/** Verifies nothing, knows no whiteouts, and trusts what it reads. */
export const gnuTar: ImportContender = {
  name: 'tar -xpzf',
  programs: [],
  run: ({ layerFile }, directory) =>
    measure({ program: 'tar', args: ['-xpzf', layerFile, '-C', directory], directory }),
}
