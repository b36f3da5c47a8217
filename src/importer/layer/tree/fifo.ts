import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  linkSync,
  openSync,
} from 'node:fs'
import { asByteString, type ByteString, bytesOf } from '../byte-string.ts'
import type { Attributes } from '../entry.ts'
import type { Directory } from './directory.ts'
import { setTime } from './file-times.ts'
import { firstDescriptor, runHelper } from './helper-program.ts'
import type { RootTree } from './root-tree.ts'
import { asSystemError } from './system-reasons.ts'

/** What a host that lacks the program, or a file system without FIFOs, makes of one. */
export type FifoOutcome = 'made' | 'time clamped' | 'impossible'

/**
 * Makes a FIFO where nothing is. Node has no call for it, so a program makes it under a name of ours, which
 * any program takes; then it gets its attributes, and its own name by a link.
 */
export function makeFifo(
  tree: RootTree,
  directory: Directory,
  name: ByteString,
  attributes: Attributes,
): FifoOutcome {
  const ours = asByteString(`.varve-fifo-${randomUUID()}`)
  if (!isMade(tree, directory, ours)) return 'impossible'
  try {
    const isClamped = describe(tree, directory, ours, attributes)
    const from = tree.descriptors.at(directory, ours)
    linkSync(from, tree.descriptors.at(directory, name))
    return isClamped ? 'time clamped' : 'made'
  } finally {
    tree.unlink(directory, ours)
  }
}

function isMade(tree: RootTree, directory: Directory, name: ByteString): boolean {
  const file = tree.descriptors.openAnew(directory)
  try {
    const path = bytesOf(asByteString(tree.descriptors.prefixInChild(directory, firstDescriptor) + name))
    // Arguments are text. Through descriptors a path always is.
    if (!isUtf8(path)) return false
    const run = runHelper('mkfifo', { arguments: ['--', path.toString()], descriptors: [file] })
    if (run === undefined) return false
    if (run.status === 0) return true
    const failure = asSystemError('mkfifo', run.complaints.trim())
    if ('code' in failure && (failure.code === 'EPERM' || failure.code === 'ENOTSUP')) return false
    throw failure
  } finally {
    closeSync(file)
  }
}

/** Through a descriptor, which opening a FIFO without waiting gives at once. */
function describe(
  tree: RootTree,
  directory: Directory,
  name: ByteString,
  { mode, uid, gid, mtime }: Attributes,
): boolean {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
  const file = openSync(tree.descriptors.at(directory, name), O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
  try {
    if (!fstatSync(file).isFIFO()) throw asSystemError('mkfifo', 'File exists')
    fchownSync(file, uid, gid)
    fchmodSync(file, mode)
    return setTime(mtime, time => futimesSync(file, time, time))
  } finally {
    closeSync(file)
  }
}
