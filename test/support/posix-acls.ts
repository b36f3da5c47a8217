/** As the kernel has it of an ACL: version 2, then tag, permissions and ID of each entry; one user more than a mode has. */
export function aclFor(user: number): Buffer {
  const nobody = 0xffffffff
  const entries = [
    [0x01, 7, nobody],
    [0x02, 7, user],
    [0x04, 5, nobody],
    [0x10, 7, nobody],
    [0x20, 0, nobody],
  ] as const
  const acl = Buffer.alloc(4 + entries.length * 8)
  acl.writeUInt32LE(2)
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    acl.writeUInt16LE(tag, 4 + index * 8)
    acl.writeUInt16LE(permissions, 6 + index * 8)
    acl.writeUInt32LE(id, 8 + index * 8)
  }
  return acl
}
