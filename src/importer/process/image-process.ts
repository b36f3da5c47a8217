import { isDomainError } from '../../errors.ts'
import type { ProcessConfig } from '../../storage/image-config.ts'
import { parseAccounts, parseGroups } from './accounts.ts'
import { type EffectiveProcess, effectiveProcessOf } from './effective-process.ts'
import { readInRoot } from './read-in-root.ts'
import { resolveUser } from './resolve-user.ts'

/** Why nobody can run an image as it says. Its tree may be of use all the same. */
export interface Unrunnable {
  /** One sentence. */
  readonly problem: string
}

/** What runs in a tree of the image, its user looked up in the tree's own accounts. */
export function imageProcess(rootfs: string, config: ProcessConfig): EffectiveProcess | Unrunnable {
  try {
    const user = resolveUser(config.User ?? '', {
      accounts: parseAccounts(readInRoot(rootfs, '/etc/passwd') ?? ''),
      groups: parseGroups(readInRoot(rootfs, '/etc/group') ?? ''),
    })
    return effectiveProcessOf(config, user)
  } catch (error) {
    if (isDomainError(error)) return { problem: error.message }
    throw error
  }
}
