import type { ApplyOptions, DirectoryXattrs, LayerReport } from '../apply-layer.ts'
import { type ByteString, show } from '../byte-string.ts'
import type {
  Attributes,
  DirectoryEntry,
  FileEntry,
  HardlinkEntry,
  LayerEntry,
  SymlinkEntry,
  Xattr,
} from '../entry.ts'
import { showPath } from '../entry-path.ts'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'
import { defaultLayerPolicy, type LayerPolicy } from '../policy.ts'
import type { Directory } from '../tree/directory.ts'
import type { FileFinisher } from '../tree/file-finisher.ts'
import type { NewFile } from '../tree/new-file.ts'
import { refuseZfsControl } from '../tree/resolve.ts'
import type { Place, RootTree } from '../tree/root-tree.ts'
import { endDirectories } from './end-directories.ts'
import { hideLower, hideLowerContent } from './hide-lower.ts'
import { costOf, PendingXattrs, showXattr } from './pending-xattrs.ts'
import { placeNode, skipNode } from './special-nodes.ts'
import { Tally } from './tally.ts'
import { TracedTree } from './traced-tree.ts'
import { meaningOf } from './whiteouts.ts'
import { wholeContentOf, writeContent } from './write-content.ts'
import { isAllowedXattr } from './xattr-rules.ts'

/** Extended attributes of directories are kept until the end. No image has a thousandth of this. */
const maxHeldXattrBytes = 32 * 1024 * 1024

export interface LayerApplierOptions extends Omit<ApplyOptions, 'signal'> {
  readonly finisher?: FileFinisher | undefined
}

/** The rules of changesets, entry by entry. One applier serves one layer; {@link finish} ends it. */
export class LayerApplier {
  readonly #tree: RootTree
  readonly #traced: TracedTree
  readonly #tally: Tally
  readonly #policy: LayerPolicy
  readonly #xattrs: PendingXattrs
  readonly #maxLinks: number
  readonly #lowerDirectoryXattrs: DirectoryXattrs | undefined
  readonly #finisher: FileFinisher | undefined
  #directoryXattrs: DirectoryXattrs | undefined
  #heldXattrBytes = 0

  constructor(tree: RootTree, { policy = defaultLayerPolicy, finisher, ...options }: LayerApplierOptions) {
    this.#tree = tree
    this.#policy = policy
    this.#tally = new Tally(options)
    this.#finisher = finisher
    this.#xattrs = new PendingXattrs(tree, this.#tally, () => finisher?.settle())
    this.#traced = new TracedTree(tree, options.limits, place => this.#xattrs.forget(place))
    this.#maxLinks = options.limits.maxLinks
    this.#lowerDirectoryXattrs = options.lowerDirectoryXattrs
  }

  get report(): LayerReport {
    const directoryXattrs = this.#directoryXattrs
    return { ...this.#tally.report, ...(directoryXattrs && { directoryXattrs }) }
  }

  /** A promise only where there is something to wait for: most entries are done at once. */
  apply(entry: LayerEntry): Promise<void> | undefined {
    this.#tally.addEntry()
    const meaning = meaningOf(entry.path)
    switch (meaning.kind) {
      case 'leftover':
        this.#tally.warn('aufs-leftover', () => showPath(entry.path))
        return undefined
      case 'whiteout':
        this.#tally.add('whiteouts')
        hideLower(this.#traced, entry.path, meaning.target)
        return undefined
      case 'opaque':
        this.#tally.add('whiteouts')
        hideLowerContent(this.#traced, entry.path)
        return undefined
      case 'content':
        return this.#place(entry)
    }
  }

  noteGlobalHeader(keys: readonly ByteString[]): void {
    this.#tally.warn('global-header', () => keys.slice(0, 8).map(show).join(', '))
  }

  /** What can be done only when nothing changes any more: above all, what directories are to be like. */
  finish(): void {
    this.#xattrs.flush()
    this.#directoryXattrs = endDirectories({
      traced: this.#traced,
      lowerDirectoryXattrs: this.#lowerDirectoryXattrs,
      xattrs: this.#xattrs,
      onDirectory: () => this.#tally.checkTime(),
      onClampedTime: ({ path }) => this.#tally.warn('time-clamped', () => showPath(path)),
    })
  }

  #place(entry: LayerEntry): Promise<void> | undefined {
    const name = entry.path.at(-1)
    if (name === undefined) {
      if (entry.type !== 'directory') throw invalidLayer(`its root is described as a ${entry.type}`)
      this.#describe(this.#tree.root, entry)
      return undefined
    }
    const place = this.#traced.makePlace(entry.path, name, () => this.#tally.addMadeParent())
    switch (entry.type) {
      case 'file':
        return this.#placeFile(place, entry)
      case 'directory':
        this.#placeDirectory(place, entry)
        return undefined
      case 'symlink':
        this.#placeSymlink(place, entry)
        return undefined
      case 'hardlink':
        this.#placeHardlink(place, entry)
        return undefined
      case 'device':
      case 'fifo':
        placeNode(place, entry, { traced: this.#traced, tally: this.#tally, policy: this.#policy })
        return undefined
    }
  }

  #placeDirectory(place: Place, entry: DirectoryEntry): void {
    const { directory, name } = place
    // In a clean directory all directories are known, so there is no need to look.
    const mayBeThere = !directory.isClean || directory.children?.has(name) === true
    const found = mayBeThere ? this.#tree.look(directory, name) : undefined
    if (found?.kind === 'directory') this.#describe(found.directory, entry)
    else this.#describe(this.#traced.makeDirectory(place), entry)
  }

  #describe(directory: Directory, entry: DirectoryEntry): void {
    const place: Place = { directory, name: '.' as ByteString }
    const xattrs = this.#allowed(place, entry.xattrs)
    this.#heldXattrBytes += costOf(xattrs)
    if (this.#heldXattrBytes > maxHeldXattrBytes)
      throw layerTooLarge(`its directories have more than ${maxHeldXattrBytes} bytes of extended attributes`)
    this.#traced.describeDirectory(directory, { ...entry, xattrs }, 'entry')
  }

  #placeFile(place: Place, entry: FileEntry): Promise<void> | undefined {
    const { directory, name } = place
    const file = this.#traced.make(place, () => this.#tree.createFile(directory, name, entry.mode))
    const content = wholeContentOf(entry)
    if (content === undefined) return this.#fill(place, file, entry)
    let isTaken = false
    try {
      isTaken = this.#finisher?.take(file, content, entry, place) === true
      if (!isTaken) file.write(content)
      this.#onWritten(content.length)
      this.#endFile(place, entry, isTaken ? false : file.describe(entry))
    } finally {
      if (!isTaken) file.close()
    }
    return undefined
  }

  async #fill(place: Place, file: NewFile, entry: FileEntry): Promise<void> {
    try {
      await writeContent(file, entry, this.#onWritten)
      this.#endFile(place, entry, file.describe(entry))
    } finally {
      file.close()
    }
  }

  readonly #onWritten = (bytes: number): void => this.#tally.addBytes(bytes)

  #endFile(place: Place, entry: FileEntry, isClamped: boolean): void {
    this.#noteTime(place, entry, isClamped)
    this.#traced.keepOwn(place)
    if (entry.xattrs.length > 0) this.#xattrs.add(place, this.#allowed(place, entry.xattrs))
  }

  #placeSymlink(place: Place, entry: SymlinkEntry): void {
    const { directory, name } = place
    const isClamped = this.#traced.make(place, () =>
      this.#tree.makeSymlink(directory, name, entry.target, entry),
    )
    this.#noteTime(place, entry, isClamped)
    this.#traced.keepOwn(place)
    // Linux has no `user.` of symlinks, and capabilities and ACLs are not theirs.
    for (const xattr of this.#allowed(place, entry.xattrs)) {
      this.#tally.add('droppedXattrs')
      this.#tally.warn('xattr-unsupported', () => showXattr(place, xattr))
    }
  }

  #placeHardlink(place: Place, entry: HardlinkEntry): void {
    const target = this.#targetOf(entry)
    const missing = target?.directory.absent?.get(target.name)
    const found =
      target === undefined ? ({ kind: 'missing' } as const) : this.#tree.look(target.directory, target.name)
    if (
      target === undefined ||
      (found.kind === 'missing' && missing === undefined) ||
      found.kind === 'directory'
    )
      throw invalidLayer(
        `${showPath(entry.path)} is a hard link to ${showPath(entry.target)}, which is ${
          found.kind === 'directory' ? 'a directory' : 'not there'
        }`,
      )
    if (isAtOrIn(target, place))
      throw invalidLayer(`${showPath(entry.path)} is a hard link to what it replaces`)
    if (missing !== undefined) {
      this.#traced.clear(place)
      skipNode(place, missing, { traced: this.#traced, tally: this.#tally })
      return
    }
    if (found.kind === 'other' && found.links >= this.#maxLinks)
      throw layerTooLarge(
        `${showPath(entry.target)} has more than ${this.#maxLinks} names, the limit maxLinks`,
      )
    this.#traced.make(place, () => this.#tree.makeHardlink(place.directory, place.name, target))
    this.#traced.keepLink(target, place)
    this.#xattrs.link(target, place)
  }

  /** Undefined when the directory that it would be in is not there. */
  #targetOf({ path, target }: HardlinkEntry): Place | undefined {
    const name = target.at(-1)
    if (name === undefined) throw invalidLayer(`${showPath(path)} is a hard link to the root`)
    const { directory, missing } = this.#traced.resolve(target.slice(0, -1))
    if (missing.length > 0) return undefined
    if (directory.parent === undefined) refuseZfsControl(name)
    return { directory, name }
  }

  /** What policy lets an entry have; the rest is counted. */
  #allowed(place: Place, xattrs: readonly Xattr[]): readonly Xattr[] {
    if (xattrs.length === 0) return xattrs
    const allowed = this.#policy.xattrs === 'keep' ? xattrs.filter(({ name }) => isAllowedXattr(name)) : []
    this.#tally.add('droppedXattrs', xattrs.length - allowed.length)
    if (this.#policy.xattrs === 'keep')
      for (const xattr of xattrs)
        if (!isAllowedXattr(xattr.name)) this.#tally.warn('xattr-refused', () => showXattr(place, xattr))
    return allowed
  }

  #noteTime({ directory, name }: Place, { clampedTime }: Attributes, isClamped: boolean): void {
    if (isClamped || clampedTime === true)
      this.#tally.warn('time-clamped', () => showPath([...directory.path, name]))
  }
}

/** Whether removing what is at `other` would remove `place`. */
function isAtOrIn(place: Place, other: Place): boolean {
  if (place.directory === other.directory && place.name === other.name) return true
  for (let at: Directory | undefined = place.directory; at !== undefined; at = at.parent)
    if (at.parent === other.directory && at.name === other.name) return true
  return false
}
