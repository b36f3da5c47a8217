import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs'
import { DomainError } from '../../errors.ts'
import { asByteString, type ByteString } from '../layer/byte-string.ts'
import type { LayerPath } from '../layer/entry.ts'
import type { Directory } from '../layer/tree/directory.ts'
import { resolveDirectory } from '../layer/tree/resolve.ts'
import { RootTree } from '../layer/tree/root-tree.ts'

/** No image needs more accounts than fit in here; one that has more is after our memory. */
const maxBytes = 1024 * 1024
/** Linux gives up after as many. */
const maxSymlinks = 40

/**
 * The content of a file in an image's tree, resolved as in a chroot: symlinks stay inside, whatever they say. Only a regular
 * file is read, without ever waiting for one that is a FIFO (CVE-2024-9676). undefined when there is none.
 * @param path absolute, without `.` and `..`.
 * @throws DomainError `too_large`; `invalid` when the way to it leads through something that is no directory.
 */
export function readInRoot(rootfs: string, path: string): string | undefined {
  using tree = new RootTree(rootfs)
  let wanted: LayerPath = split(path)
  for (let hops = 0; hops <= maxSymlinks; hops++) {
    const name = wanted.at(-1)
    if (name === undefined || name === '.' || name === '..') return undefined
    const { directory, missing } = resolveDirectory(wanted.slice(0, -1), {
      root: tree.root,
      parentOf: ({ parent }: Directory) => parent,
      look: (above, component) => tree.look(above, component),
      pathOf: directory => directory.path,
    })
    if (missing.length > 0) return undefined
    const found = tree.look(directory, name)
    if (found.kind === 'other') return readRegular(tree.descriptors.at(directory, name), path)
    if (found.kind !== 'symlink') return undefined
    wanted = [...(found.target.startsWith('/') ? [] : directory.path), ...split(found.target)]
  }
  return undefined
}

/** Looks before it opens: opening a device can have an effect already, and a socket cannot be opened. */
function readRegular(at: string | Buffer, path: string): string | undefined {
  if (lstatSync(at, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
  const file = openSync(at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return undefined
    if (stats.size > maxBytes)
      throw new DomainError('too_large', `The image's ${path} is larger than ${maxBytes} bytes.`, {
        resource: 'image',
      })
    // As long as it is now: what a process of the image adds meanwhile may come a moment later just as well.
    const bytes = Buffer.alloc(stats.size)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}

function split(path: string | ByteString): ByteString[] {
  return path
    .split('/')
    .filter(component => component !== '')
    .map(asByteString)
}
