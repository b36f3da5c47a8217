import { join } from 'node:path'
import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

export const umociUnpack: ImportContender = {
  name: 'umoci unpack',
  programs: ['umoci'],
  run: ({ layout, tag }, directory) =>
    measure({
      program: 'umoci',
      args: ['unpack', '--image', `${layout}:${tag}`, join(directory, 'bundle')],
      directory,
    }),
}
