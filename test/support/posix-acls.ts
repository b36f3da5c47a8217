/** Of an entry that is about nobody in particular. */
const nobody = 0xffffffff

/** As the kernel has it: version 2, then tag, permissions and ID of each entry. */
export function posixAcl(
  entries: readonly (readonly [tag: number, permissions: number, id?: number])[],
): Buffer {
  const acl = Buffer.alloc(4 + entries.length * 8)
  acl.writeUInt32LE(2)
  for (const [index, [tag, permissions, id = nobody]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + index * 8)
    acl.writeUInt16LE(permissions, 6 + index * 8)
    acl.writeUInt32LE(id, 8 + index * 8)
  }
  return acl
}

/** With one user more than a mode has. */
export function aclFor(user: number, mask = 7): Buffer {
  return posixAcl([
    [0x01, 7],
    [0x02, 7, user],
    [0x04, 5],
    [0x10, mask],
    [0x20, 0],
  ])
}
