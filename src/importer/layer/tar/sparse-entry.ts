import { show } from '../byte-string.ts'
import { unsupportedLayer } from '../layer-errors.ts'
import {
  oldSparseSize,
  paxSparseForm,
  paxSparseSize,
  readOldSparseExtension,
  readOldSparseHeader,
  readPaxSparseRecords,
  SparseText,
} from './sparse-formats.ts'
import { SparseMap } from './sparse-map.ts'
import { blockBytes } from './tar-block.ts'
import { entryName, type FileContent } from './tar-entry.ts'
import type { TarHeader } from './tar-header.ts'
import type { Metadata } from './tar-metadata.ts'

/** Reads another block of a map; answers whether one more follows. */
type ReadBlock = (block: Buffer) => boolean

/** A sparse file whose map is being read: it may go on in blocks of its own, before the content. */
export class SparseEntry {
  readonly #map: SparseMap
  readonly #size: number
  #storedBytes: number
  #readBlock: ReadBlock | undefined
  /** Bytes of a block of the map that count as content. */
  readonly #countedBytes: number

  /**
   * @param size bytes of the file, holes included.
   * @param stored what its header says about the content in the stream, and how much of that a block of the map takes.
   */
  constructor(
    map: SparseMap,
    size: number,
    stored: { readonly bytes: number; readonly ofMapBlock: number },
    readBlock: ReadBlock | undefined,
  ) {
    this.#map = map
    this.#size = size
    this.#storedBytes = stored.bytes
    this.#countedBytes = stored.ofMapBlock
    this.#readBlock = readBlock
  }

  get isComplete(): boolean {
    return this.#readBlock === undefined
  }

  /** Bytes of content that follow the map. */
  get storedBytes(): number {
    return this.#storedBytes
  }

  takeBlock(block: Buffer): void {
    this.#storedBytes -= this.#countedBytes
    if (this.#storedBytes < 0) throw this.#map.broken()
    if (this.#readBlock?.(block) !== true) this.#readBlock = undefined
  }

  /** Of a complete one. @throws DomainError `invalid` when the map does not say where all of the content goes. */
  content(): FileContent {
    return { size: this.#size, segments: this.#map.finish(this.#size, this.#storedBytes) }
  }
}

/**
 * @param block the entry's header. @param storedBytes content in the stream, as the header says.
 * @returns undefined for an entry that is not sparse.
 * @throws DomainError `invalid`, `unsupported`, `too_large`.
 */
export function sparseEntryOf(
  header: TarHeader,
  metadata: Metadata,
  block: Buffer,
  storedBytes: number,
): SparseEntry | undefined {
  const { pax } = metadata
  const isOld = header.type === 'S'
  if (!isOld && pax === undefined) return undefined
  const name = entryName(header, metadata)
  const map = new SparseMap(name)
  const form = pax && paxSparseForm(pax, name)
  if (isOld) {
    if (header.format !== 'gnu' || form !== undefined)
      throw unsupportedLayer(`${show(name)} is a sparse file of a form that is not known`)
    const size = oldSparseSize(block, name)
    const isExtended = readOldSparseHeader(block, map)
    const readBlock: ReadBlock = extension => readOldSparseExtension(extension, map)
    return new SparseEntry(
      map,
      size,
      { bytes: storedBytes, ofMapBlock: 0 },
      isExtended ? readBlock : undefined,
    )
  }
  if (pax === undefined || form === undefined) return undefined
  const size = paxSparseSize(pax, name) ?? storedBytes
  if (form === 'records') {
    readPaxSparseRecords(pax, map)
    return new SparseEntry(map, size, { bytes: storedBytes, ofMapBlock: 0 }, undefined)
  }
  const text = new SparseText(map)
  return new SparseEntry(map, size, { bytes: storedBytes, ofMapBlock: blockBytes }, block => {
    text.take(block)
    return !text.isComplete
  })
}
