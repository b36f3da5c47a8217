import { storageOptions } from '../../test/support/container-storage.ts'
import type { ImportContender } from './contender.ts'
import { measure } from './usage.ts'

export const podmanPull: ImportContender = {
  name: 'podman pull (vfs)',
  programs: ['podman'],
  run: ({ image }, directory) =>
    measure({
      program: 'podman',
      args: [...storageOptions('podman', directory), 'pull', '--quiet', '--tls-verify=false', image],
      env: { TMPDIR: directory },
      directory,
    }),
}
