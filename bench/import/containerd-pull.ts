import { startContainerd } from '../../test/support/containerd.ts'
import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

/** Its daemon does the work; a new one each time. */
export const containerdPull: ImportContender = {
  name: 'containerd (native)',
  programs: ['containerd'],
  run: async ({ image }, directory) => {
    const daemon = await startContainerd(directory)
    try {
      const args = ['images', 'pull', '--plain-http', '--snapshotter=native', image]
      return await measure({ ...daemon.command(...args), directory, daemon: daemon.pid })
    } finally {
      await daemon.stop()
    }
  },
}
