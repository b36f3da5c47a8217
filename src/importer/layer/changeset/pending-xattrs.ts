import { type ByteString, show } from '../byte-string.ts'
import type { Xattr } from '../entry.ts'
import { showPath } from '../entry-path.ts'
import type { Directory } from '../tree/directory.ts'
import type { Place, RootTree } from '../tree/root-tree.ts'
import { asSystemError } from '../tree/system-reasons.ts'
import { directoriesPerRun, setXattrs, type XattrFailure, type XattrTarget } from '../tree/xattr-programs.ts'
import { spare } from './spared.ts'
import type { Tally } from './tally.ts'
import { accessAcl, namespaceLackedBy, namespaceOf, refusalOf, type XattrNamespace } from './xattr-rules.ts'

/** What waits is in memory, and more of it would not make the program that sets it any quicker. */
const batchBytes = 1024 * 1024

/** As many as wait at most when each is tiny. */
const targetsPerRun = 4096

/** What waiting costs besides the bytes themselves. */
const bytesPerName = 256
const bytesPerXattr = 256
/** Of one byte of a name, when it is quoted. */
const quotedBytes = 4

/**
 * Extended attributes of files that this layer has made. Node has no call for them, so they wait and are set by one
 * process for many. What is replaced or removed meanwhile gets none; another name of the same file does.
 */
export class PendingXattrs {
  readonly #tree: RootTree
  readonly #tally: Tally
  readonly #settle: () => void
  readonly #waiting = new Map<Directory, Map<ByteString, readonly Xattr[]>>()
  #waitingBytes = 0
  /** What this file system, or this host, turned out not to have. */
  readonly #lacking = new Set<XattrNamespace>()

  /** @param settle finishes files: chown takes capabilities away, and chmod changes an ACL. */
  constructor(tree: RootTree, tally: Tally, settle: () => void) {
    this.#tree = tree
    this.#tally = tally
    this.#settle = settle
  }

  /** For a file that has just been made. */
  add({ directory, name }: Place, xattrs: readonly Xattr[]): void {
    if (xattrs.length === 0) return
    let names = this.#waiting.get(directory)
    if (names === undefined) {
      names = new Map()
      this.#waiting.set(directory, names)
    }
    names.set(name, xattrs)
    if (xattrs.some(xattr => xattr.name === accessAcl)) spare({ directory, name })
    // The program is told, and complains, with the path of each attribute, of which four bytes may quote one.
    this.#waitingBytes += bytesPerName + costOf(xattrs) + xattrs.length * quotedBytes * name.length
    if (this.#waitingBytes >= batchBytes) this.flush()
  }

  /** A further name for a file: what waits for one waits for both. */
  link(from: Place, to: Place): void {
    this.add(to, this.#waiting.get(from.directory)?.get(from.name) ?? [])
  }

  /** Whatever was there is gone. */
  forget({ directory, name }: Place): void {
    this.#waiting.get(directory)?.delete(name)
  }

  /** Sets all that wait, on files that are finished. */
  flush(): void {
    this.#settle()
    const targets = [...this.#waiting]
      .filter(([directory]) => !directory.isGone)
      .flatMap(([directory, names]) => [...names].map(([name, xattrs]) => ({ directory, name, xattrs })))
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.set(targets)
  }

  /** Sets them at once. */
  set(targets: readonly XattrTarget[]): void {
    for (const run of inRuns(targets.map(target => this.#known(target)))) {
      const failures = setXattrs(this.#tree, run)
      if (failures !== undefined) this.#judge(failures)
      else for (const target of run) for (const xattr of target.xattrs) this.#drop(target, xattr)
    }
  }

  /** Without what has turned out not to be there at all. */
  #known(target: XattrTarget): XattrTarget {
    if (this.#lacking.size === 0) return target
    const isLacking = ({ name }: Xattr): boolean => {
      const namespace = namespaceOf(name)
      return namespace !== undefined && this.#lacking.has(namespace)
    }
    for (const xattr of target.xattrs.filter(isLacking)) this.#drop(target, xattr)
    return { ...target, xattrs: target.xattrs.filter(xattr => !isLacking(xattr)) }
  }

  #judge(failures: readonly XattrFailure[]): void {
    for (const { target, xattr, errno } of failures) {
      const refusal = refusalOf(errno, this.#tree.hasSpace())
      if (refusal === undefined) throw asSystemError('setfattr', errno, errno)
      const namespace = namespaceLackedBy(xattr)
      if (refusal === 'absent' && namespace !== undefined) this.#lacking.add(namespace)
      this.#drop(target, xattr)
    }
  }

  #drop({ directory, name }: Place, xattr: Xattr): void {
    if (xattr.name === accessAcl) directory.spared?.delete(name)
    this.#tally.add('droppedXattrs')
    this.#tally.warn('xattr-unsupported', () => showXattr({ directory, name }, xattr))
  }
}

/** Each as many targets, in as many directories, as one run takes; without those that have nothing to set. */
export function* inRuns(targets: Iterable<XattrTarget>): Generator<readonly XattrTarget[]> {
  let run: XattrTarget[] = []
  const directories = new Set<Directory>()
  for (const target of targets) {
    if (target.xattrs.length === 0) continue
    const isFull = directories.size === directoriesPerRun && !directories.has(target.directory)
    if (isFull || run.length === targetsPerRun) {
      yield run
      run = []
      directories.clear()
    }
    directories.add(target.directory)
    run.push(target)
  }
  if (run.length > 0) yield run
}

export function showXattr({ directory, name }: Place, xattr: Xattr): string {
  return `${showPath([...directory.path, ...(name === '.' ? [] : [name])])}: ${show(xattr.name)}`
}

/** Bytes of memory that they take, about. */
export function costOf(xattrs: readonly Xattr[]): number {
  return xattrs.reduce((cost, { name, value }) => cost + bytesPerXattr + name.length + value.length, 0)
}
