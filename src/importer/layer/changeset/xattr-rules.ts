import { isUtf8 } from 'node:buffer'
import { asByteString, type ByteString, bytesOf } from '../byte-string.ts'
import type { Xattr } from '../entry.ts'

/**
 * Whether a stranger's image may set it. File capabilities, ACLs and the programs' own `user.` mean something in a
 * container. The others speak to the host: `trusted.` steers overlayfs and other kernel parts, `security.selinux`,
 * `.ima`, `.evm` and `.apparmor` are the host's policy, and the rest of `system.` belongs to single file systems.
 * Tools read names as text, so a name that is none could never be removed again.
 */
export function isAllowedXattr(name: ByteString): boolean {
  return namespaceOf(name) !== undefined && isUtf8(bytesOf(name))
}

export const accessAcl = asByteString('system.posix_acl_access')
export const defaultAcl = asByteString('system.posix_acl_default')

/** Of ACLs, in front of their entries: 2, as four bytes. */
const knownVersion = [2, 0, 0, 0] as const

/** An ACL without entries, which the system takes as none: as good as removing one, and there need not be any. */
export const noAcl: Uint8Array = Uint8Array.from(knownVersion)

/** What a file system has or lacks as one: an answer for one name of it holds for the others. */
export type XattrNamespace = 'user' | 'capability' | 'acl'

export function namespaceOf(name: ByteString): XattrNamespace | undefined {
  if (name.startsWith('user.')) return 'user'
  if (name === 'security.capability') return 'capability'
  return name === accessAcl || name === defaultAcl ? 'acl' : undefined
}

/** The namespace that ENOTSUP of an attribute is about: an ACL of an unknown version gets it wherever there are ACLs. */
export function namespaceLackedBy({ name, value }: Xattr): XattrNamespace | undefined {
  const namespace = namespaceOf(name)
  return namespace === 'acl' && !knownVersion.every((byte, index) => value[index] === byte)
    ? undefined
    : namespace
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
    // A default ACL of what is no directory.
    case 'EACCES':
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
