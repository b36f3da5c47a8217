import { type ByteString, show } from '../byte-string.ts'
import type { Segment } from '../entry.ts'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'

/** A file of 100 GB with a hole after every megabyte; each costs memory and a call. */
const maxSegments = 100_000

/**
 * Collects where the content of a sparse file goes. Refuses what is not ascending, overlaps or has too many parts, as soon
 * as it comes (CVE-2025-58183: a map may claim any length).
 */
export class SparseMap {
  readonly #name: ByteString
  readonly #segments: Segment[] = []
  #count = 0
  #end = 0
  #contentBytes = 0

  /** @param name the file's, for messages. */
  constructor(name: ByteString) {
    this.#name = name
  }

  /** @param offset @param length in bytes; undefined when the map has something else there. */
  add(offset: number | undefined, length: number | undefined): void {
    if (++this.#count > maxSegments)
      throw layerTooLarge(`the sparse file ${show(this.#name)} has more than ${maxSegments} segments`)
    if (offset === undefined || length === undefined || offset < this.#end || length < 0) throw this.broken()
    const end = offset + length
    if (!Number.isSafeInteger(end)) throw this.broken()
    this.#end = end
    this.#contentBytes += length
    if (length > 0) this.#segments.push({ offset, length })
  }

  /**
   * @param size bytes of the file, holes included. @param storedBytes bytes of its content in the stream.
   * @throws DomainError `invalid` when the map does not say exactly where those bytes go.
   */
  finish(size: number, storedBytes: number): readonly Segment[] {
    if (this.#end > size || this.#contentBytes !== storedBytes) throw this.broken()
    return this.#segments
  }

  broken(): Error {
    return invalidLayer(`the map of the sparse file ${show(this.#name)} is broken`)
  }
}
