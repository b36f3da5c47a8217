import { errnoOf } from '../../../errors.ts'
import type { ByteString } from '../byte-string.ts'
import type { Attributes, LayerPath, Xattr } from '../entry.ts'
import { invalidLayer } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import type { Directory, Kept } from '../tree/directory.ts'
import { isZfsControl, type Resolved, refuseZfsControl, resolveDirectory } from '../tree/resolve.ts'
import type { Place, RootTree } from '../tree/root-tree.ts'
import { isSpared, spare } from './spared.ts'

/** What an entry says of a directory; its time is given to it at the end. */
export interface DirectoryFacts extends Attributes {
  readonly xattrs: readonly Xattr[]
}

/** Of a directory that no entry describes: it must come out the same every time. */
export const implied: DirectoryFacts = { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: [] }

/**
 * A tree and what one layer has done to it, kept in step: every change of the one is a change of the other.
 *
 * Known directories and the last resolved path are remembered, so that an entry next to the one before it costs no look at
 * its parents. Only a removal can make such memory wrong (CVE-2025-47290: a directory that became a symlink), and all
 * removals are in {@link remove} and {@link removeDirectory}.
 */
export class TracedTree {
  readonly tree: RootTree
  /** Before this layer: the root was the only directory. */
  readonly wasEmpty: boolean
  /** Directories of the layers below in which this layer has made something; they may be gone. */
  readonly givers = new Set<Directory>()
  /** Directories in which this layer has a further name of a file that it has made; they may be gone. */
  readonly linked = new Set<Directory>()
  /** Told of every name whose content is gone, before something else may be there. */
  readonly #onGone: (place: Place) => void
  readonly #limits: Pick<LayerLimits, 'maxDepth' | 'maxPathBytes'>
  #lastPath: LayerPath | undefined
  #lastDirectory: Directory

  constructor(
    tree: RootTree,
    limits: Pick<LayerLimits, 'maxDepth' | 'maxPathBytes'>,
    onGone: (place: Place) => void,
  ) {
    this.tree = tree
    this.#limits = limits
    this.#onGone = onGone
    this.#lastDirectory = tree.root
    this.wasEmpty = tree.list(tree.root).every(({ name }) => isZfsControl(name))
    tree.root.isClean = this.wasEmpty
  }

  /** Where the directory that a path's last component is in really is; see {@link resolveDirectory}. */
  resolveParent(path: LayerPath): Resolved<Directory> {
    if (this.#lastPath !== undefined && haveSameParent(this.#lastPath, path))
      return { directory: this.#lastDirectory, missing: nothing, isFirm: true }
    const resolved = this.resolve(path.slice(0, -1))
    if (resolved.missing.length === 0 && resolved.isFirm) this.#remember(path, resolved.directory)
    return resolved
  }

  /** See {@link resolveDirectory}. */
  resolve(directory: LayerPath): Resolved<Directory> {
    const { tree } = this
    return resolveDirectory(directory, {
      root: tree.root,
      parentOf: ({ parent }) => parent,
      look: (at, name) => tree.look(at, name),
      pathOf: ({ path }) => path,
    })
  }

  /**
   * Where a path's content goes, its parents made when they are missing.
   * @param onMade called for each parent that was made.
   * @throws DomainError `invalid` when its real path is deeper or longer than the limits have it.
   */
  makePlace(path: LayerPath, name: ByteString, onMade: () => void): Place {
    const { directory: existing, missing, isFirm } = this.resolveParent(path)
    this.#checkPath(existing, missing, name)
    let directory = existing
    for (const parent of missing) {
      directory = this.makeDirectory({ directory, name: parent })
      this.describeDirectory(directory, implied, 'implied')
      onMade()
    }
    if (missing.length > 0 && isFirm) this.#remember(path, directory)
    if (directory.parent === undefined) refuseZfsControl(name)
    return { directory, name }
  }

  /** See {@link make}; to be described next. */
  makeDirectory(place: Place): Directory {
    const made = this.make(place, () => this.tree.makeDirectory(place.directory, place.name))
    made.isClean = true
    return made
  }

  /** What a directory gets at the end. */
  describeDirectory(directory: Directory, facts: DirectoryFacts, kept: Kept): void {
    const { mode, uid, gid, xattrs, mtime, clampedTime } = facts
    directory.ending = { mode, uid, gid, xattrs, clampedTime }
    directory.mtime = mtime
    keep(directory, kept)
  }

  /**
   * Makes something at a place; whatever is there makes room for it first.
   * @param create must fail with EEXIST, and change nothing, when something is there.
   */
  make<Made>(place: Place, create: () => Made): Made {
    this.rememberTime(place.directory)
    place.directory.absent?.delete(place.name)
    if (!place.directory.isMade) this.givers.add(place.directory)
    try {
      return create()
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
    this.remove(place)
    return create()
  }

  /** After something that is no directory was made at a place. */
  keepOwn({ directory, name }: Place): void {
    keep(directory, 'implied')
    if (directory.isClean) return
    directory.ownNames ??= new Set()
    directory.ownNames.add(name)
  }

  /** After this layer had something to say of what is in a directory, whatever became of it. */
  keepImplied(directory: Directory): void {
    keep(directory, 'implied')
  }

  /** After a further name for what is at `target` was made at a place. */
  keepLink(target: Place, place: Place): void {
    if (isSpared(target)) spare(place)
    else this.linked.add(place.directory)
    this.keepOwn(place)
  }

  /** Removes whatever is at a place, with all that is in it; nothing there is no error. */
  clear(place: Place): void {
    place.directory.absent?.delete(place.name)
    if (this.tree.look(place.directory, place.name).kind === 'missing') return
    this.rememberTime(place.directory)
    this.remove(place)
  }

  /** Removes what is there. */
  remove(place: Place): void {
    this.#forget(place)
    this.tree.remove(place.directory, place.name)
  }

  /** Removes what is known to be no directory. */
  removeFile(place: Place): void {
    this.#forget(place)
    this.tree.unlink(place.directory, place.name)
  }

  /** With all that is in it. */
  removeDirectory(directory: Directory): void {
    this.#lastPath = undefined
    this.tree.removeDirectory(directory)
  }

  /** Before a directory's content changes: the first change keeps the time that the layers below gave it. */
  rememberTime(directory: Directory): void {
    directory.mtime ??= this.tree.mtimeOf(directory)
  }

  #forget(place: Place): void {
    this.#lastPath = undefined
    this.#onGone(place)
    place.directory.ownNames?.delete(place.name)
    place.directory.spared?.delete(place.name)
  }

  #remember(path: LayerPath, directory: Directory): void {
    this.#lastPath = path
    this.#lastDirectory = directory
  }

  /** Once symlinks are followed, a path may be another than was checked when it was read. */
  #checkPath(directory: Directory, missing: LayerPath, name: ByteString): void {
    const { maxDepth, maxPathBytes } = this.#limits
    const depth = directory.depth + missing.length + 1
    const bytes = missing.reduce((sum, { length }) => sum + length + 1, directory.pathBytes + 1 + name.length)
    if (depth <= maxDepth && bytes <= maxPathBytes) return
    throw invalidLayer(
      depth > maxDepth
        ? `a path in it really has ${depth} components; at most ${maxDepth} are made`
        : `a path in it is really ${bytes} bytes long; at most ${maxPathBytes} are made`,
    )
  }
}

const nothing: readonly ByteString[] = []

function keep(directory: Directory, kept: Kept): void {
  if (directory.kept !== 'entry') directory.kept = kept
  for (let above = directory.parent; above !== undefined && above.kept === undefined; above = above.parent)
    above.kept = 'implied'
}

function haveSameParent(one: LayerPath, other: LayerPath): boolean {
  if (one.length !== other.length) return false
  // The last of the parents differs most often.
  for (let index = one.length - 2; index >= 0; index--) if (one[index] !== other[index]) return false
  return true
}
