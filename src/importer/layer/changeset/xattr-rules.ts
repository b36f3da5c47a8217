import { isUtf8 } from 'node:buffer'
import { type ByteString, bytesOf } from '../byte-string.ts'

/**
 * Whether a stranger's image may set it. File capabilities, ACLs and the programs' own `user.` mean something in a
 * container. The others speak to the host: `trusted.` steers overlayfs and other kernel parts, `security.selinux`,
 * `.ima`, `.evm` and `.apparmor` are the host's policy, and the rest of `system.` belongs to single file systems.
 * Tools read names as text, so a name that is none could never be removed again.
 */
export function isAllowedXattr(name: ByteString): boolean {
  return namespaceOf(name) !== undefined && isUtf8(bytesOf(name))
}

/** What a file system has or lacks as one: an answer for one name of it holds for the others. */
export type XattrNamespace = 'user' | 'capability' | 'acl'

export function namespaceOf(name: ByteString): XattrNamespace | undefined {
  if (name.startsWith('user.')) return 'user'
  if (name === 'security.capability') return 'capability'
  return name === 'system.posix_acl_access' || name === 'system.posix_acl_default' ? 'acl' : undefined
}

/** What a refused attribute is: `absent`: the whole namespace is; `refused`: this one for its name, size or value. */
export type XattrRefusal = 'absent' | 'refused'

/**
 * @param errno of setxattr(2).
 * @param hasSpace whether the file system has: ext4 says ENOSPC of what is too large for its one block as well.
 * @returns undefined for a failure that has nothing to do with the attribute.
 */
export function refusalOf(errno: string, hasSpace: boolean): XattrRefusal | undefined {
  switch (errno) {
    case 'ENOTSUP':
      return 'absent'
    case 'E2BIG':
    case 'EFBIG':
    case 'EINVAL':
    case 'EPERM':
    case 'ERANGE':
      return 'refused'
    case 'ENOSPC':
      return hasSpace ? 'refused' : undefined
    default:
      return undefined
  }
}
