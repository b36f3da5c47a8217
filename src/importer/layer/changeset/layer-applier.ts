import type { ApplyOptions, LayerReport } from '../apply-layer.ts'
import type { ByteString } from '../byte-string.ts'
import type { DirectoryEntry, FileEntry, HardlinkEntry, LayerEntry, LayerPath } from '../entry.ts'
import { joinPath, showPath } from '../entry-path.ts'
import { hideLower, hideLowerContent } from './hide-lower.ts'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import { refuseZfsControl } from '../tree/resolve.ts'
import { closeFile, type RootTree, setFileAttributes, writeFully } from '../tree/root-tree.ts'
import { TracedTree } from './traced-tree.ts'
import { meaningOf } from './whiteouts.ts'

/** Work between two reports of progress, in entries, and how much content is as much work as an entry. */
const progressStep = 250
const bytesLikeOneEntry = 64 * 1024

/** The rules of changesets, entry by entry. One applier serves one layer; {@link finish} ends it. */
export class LayerApplier {
  readonly #tree: RootTree
  readonly #limits: LayerLimits
  readonly #traced: TracedTree
  /** Nodes that this layer has and we have not, by path: a hard link to one is left out as well. */
  readonly #skipped = new Map<ByteString, 'device' | 'fifo'>()
  readonly #count = {
    entries: 0,
    bytes: 0,
    whiteouts: 0,
    skippedDevices: 0,
    skippedFifos: 0,
    droppedXattrs: 0,
  }
  #madeParents = 0
  readonly #onProgress: ((report: LayerReport) => void) | undefined
  #unreported = 0

  constructor(tree: RootTree, { limits, onProgress }: Omit<ApplyOptions, 'signal'>) {
    this.#tree = tree
    this.#limits = limits
    this.#onProgress = onProgress
    this.#traced = new TracedTree(tree)
  }

  get report(): LayerReport {
    return { ...this.#count, warnings: [] }
  }

  async apply(entry: LayerEntry): Promise<void> {
    this.#count.entries++
    this.#checkEntryLimit()
    this.#advance(1)
    const meaning = meaningOf(entry.path)
    switch (meaning.kind) {
      case 'leftover':
        return
      case 'whiteout':
        this.#count.whiteouts++
        return hideLower(this.#traced, meaning.parent, meaning.target)
      case 'opaque':
        this.#count.whiteouts++
        return hideLowerContent(this.#traced, meaning.directory)
      case 'content':
        return await this.#place(entry)
    }
  }

  /** Gives every directory its time, which its content has changed meanwhile. */
  finish(): void {
    this.#traced.restoreTimes()
  }

  async #place(entry: LayerEntry): Promise<void> {
    const name = entry.path.at(-1)
    if (name === undefined) return this.#describeRoot(entry)
    const parent = this.#traced.resolve(entry.path.slice(0, -1))
    const path = [...parent, name]
    refuseZfsControl(path)
    this.#madeParents += this.#traced.makeParents(parent)
    this.#checkEntryLimit()
    if ('xattrs' in entry) this.#count.droppedXattrs += entry.xattrs.length
    switch (entry.type) {
      case 'directory':
        return this.#placeDirectory(path, entry)
      case 'file':
        this.#clear(path)
        return await this.#placeFile(path, entry)
      case 'symlink':
        this.#clear(path)
        this.#tree.makeSymlink(path, entry.target, entry)
        return this.#traced.keep(path)
      case 'hardlink':
        return this.#placeHardlink(path, entry)
      case 'device':
      case 'fifo':
        this.#clear(path)
        return this.#skip(path, entry.type)
    }
  }

  #describeRoot(entry: LayerEntry): void {
    if (entry.type !== 'directory') throw invalidLayer(`its root is described as a ${entry.type}`)
    this.#traced.describeDirectory([], entry, 'entry')
    this.#count.droppedXattrs += entry.xattrs.length
  }

  #placeDirectory(path: LayerPath, entry: DirectoryEntry): void {
    if (this.#tree.inspect(path).kind === 'directory') {
      this.#traced.describeDirectory(path, entry, 'entry')
      return
    }
    this.#clear(path)
    this.#traced.makeDirectory(path, entry, 'entry')
  }

  async #placeFile(path: LayerPath, entry: FileEntry): Promise<void> {
    const file = this.#tree.createFile(path)
    try {
      if (entry.size > 0)
        for await (const chunk of entry.body) {
          writeFully(file, chunk)
          this.#count.bytes += chunk.length
          this.#advance(chunk.length / bytesLikeOneEntry)
        }
      setFileAttributes(file, entry)
    } finally {
      closeFile(file)
    }
    this.#traced.keep(path)
  }

  #placeHardlink(path: LayerPath, entry: HardlinkEntry): void {
    const name = entry.target.at(-1)
    if (name === undefined) throw invalidLayer(`${showPath(entry.path)} is a hard link to the root`)
    const parent = this.#traced.resolve(entry.target.slice(0, -1))
    const target = [...parent, name]
    refuseZfsControl(target)
    const missing = this.#skipped.get(joinPath(target))
    const found = this.#tree.inspect(target).kind
    if ((found === 'missing' && missing === undefined) || found === 'directory')
      throw invalidLayer(
        `${showPath(entry.path)} is a hard link to ${showPath(entry.target)}, which is ${
          found === 'missing' ? 'not there' : 'a directory'
        }`,
      )
    if (`${joinPath(target)}/`.startsWith(`${joinPath(path)}/`))
      throw invalidLayer(`${showPath(entry.path)} is a hard link to what it replaces`)
    this.#clear(path)
    if (missing !== undefined) {
      this.#skip(path, missing)
      return
    }
    this.#tree.makeHardlink(path, target)
    this.#traced.keep(path)
  }

  #skip(path: LayerPath, type: 'device' | 'fifo'): void {
    this.#skipped.set(joinPath(path), type)
    if (type === 'device') this.#count.skippedDevices++
    else this.#count.skippedFifos++
  }

  #clear(path: LayerPath): void {
    if (this.#skipped.size > 0) this.#skipped.delete(joinPath(path))
    this.#traced.clear(path)
  }

  #advance(work: number): void {
    this.#unreported += work
    if (this.#unreported < progressStep) return
    this.#unreported = 0
    this.#onProgress?.(this.report)
  }

  #checkEntryLimit(): void {
    const { maxEntries } = this.#limits
    if (this.#count.entries + this.#madeParents > maxEntries)
      throw layerTooLarge(`it has more than ${maxEntries} entries and directories that they imply`)
  }
}
