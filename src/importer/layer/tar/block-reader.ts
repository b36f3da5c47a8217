import { type ByteString, show } from '../byte-string.ts'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'
import type { LayerLimits } from '../limits.ts'
import { ByteSteps, type Step } from './byte-steps.ts'
import { parsePaxHeader } from './pax.ts'
import { type SparseEntry, sparseEntryOf } from './sparse-entry.ts'
import { blockBytes, paddedBytes } from './tar-block.ts'
import { type EntryFacts, entryName, entryOf, type FileContent, storedSize } from './tar-entry.ts'
import { parseTarHeader, type TarHeader } from './tar-header.ts'
import { addMetadata, hasMetadata, longText, type Metadata, noMetadata } from './tar-metadata.ts'

/** PAX headers and long names, as in Go and libarchive. The longest sound ones hold some extended attributes of 64 KiB. */
const maxMetadataBytes = 1024 * 1024
/** A sound entry has two at most; an archive of nothing else would keep us busy and never count as an entry. */
const maxMetadataBlocks = 16

/** What a tar stream consists of, in order. */
export interface BlockSink {
  /** An entry; its `storedBytes` of content follow, padded to whole blocks, before the next one. */
  begin(facts: EntryFacts, storedBytes: number): void
  pass(content: Buffer): void
  globalHeader(keys: readonly ByteString[]): void
}

/**
 * Reads tar block by block and decides everything that there is to decide: where an entry ends, what it is, what it is
 * called. As Go's archive/tar does, on which all engines rest; but what other readers take for something else is refused,
 * so that nobody sees another layer in the same bytes.
 *
 * - Content after headers that have none, numbers and PAX records that are not exact, names given in two ways and
 *   unknown types and formats are refused.
 * - Global PAX headers are read and apply to nothing.
 * - Everything from the end-of-archive on is ignored. A missing one, or half of it, is none.
 */
export class BlockReader {
  readonly #limits: LayerLimits
  readonly #sink: BlockSink
  readonly #steps: ByteSteps
  #expectsHeader = true
  /** Of the next entry. */
  #metadata: Metadata = noMetadata
  #metadataBlocks = 0
  #zeroBlocks = 0
  /** Of the present entry's content, in bytes. */
  #padding = 0

  constructor(limits: LayerLimits, sink: BlockSink) {
    this.#limits = limits
    this.#sink = sink
    this.#steps = new ByteSteps({ bytes: blockBytes, step: this.#readHeader }, bytes => sink.pass(bytes))
  }

  /** @throws DomainError `invalid`, `unsupported`, `too_large`; the reader is of no use then. */
  take(chunk: Buffer): void {
    this.#steps.take(chunk, this.#isAtEnd)
  }

  /** The stream has ended. @throws DomainError `invalid` when it may not end there. */
  finish(): void {
    if (this.#isAtEnd()) return
    const { passing } = this.#steps
    // Padding that nobody wrote is nothing that is missing.
    if (passing > 0 && passing <= this.#padding) this.take(Buffer.alloc(passing))
    if (!this.#steps.isBetween || !this.#expectsHeader || hasMetadata(this.#metadata))
      throw invalidLayer('the tar stream ends in the middle of an entry')
  }

  readonly #isAtEnd = (): boolean => this.#zeroBlocks === 2

  readonly #readHeader: Step = block => {
    const header = parseTarHeader(block)
    if (header === undefined) {
      if (hasMetadata(this.#metadata)) throw invalidLayer('the tar stream ends where an entry should follow')
      this.#zeroBlocks++
      return
    }
    if (this.#zeroBlocks > 0) throw invalidLayer('the tar stream has a single block of zeros between entries')
    switch (header.type) {
      case 'g':
        return this.#expectMetadata(header, bytes => this.#readGlobalHeader(bytes))
      case 'x':
        // Its values are views, and the header of the entry itself may come when this piece of the stream is gone.
        return this.#expectMetadata(header, bytes =>
          this.#addMetadata({ pax: parsePaxHeader(Buffer.from(bytes)) }),
        )
      case 'L':
        return this.#expectMetadata(header, bytes => this.#addMetadata({ longName: longText(bytes) }))
      case 'K':
        return this.#expectMetadata(header, bytes => this.#addMetadata({ longLinkname: longText(bytes) }))
      default:
        return this.#readEntry(header, block)
    }
  }

  #expectMetadata({ size }: TarHeader, step: Step): void {
    if (size > maxMetadataBytes)
      throw layerTooLarge(`it has a header of ${size} bytes; at most ${maxMetadataBytes} are read`)
    if (++this.#metadataBlocks > maxMetadataBlocks)
      throw layerTooLarge(`an entry has more than ${maxMetadataBlocks} headers`)
    this.#expect(paddedBytes(size), bytes => {
      this.#expectHeader()
      step(bytes.subarray(0, size))
    })
  }

  #readGlobalHeader(bytes: Buffer): void {
    if (hasMetadata(this.#metadata))
      throw invalidLayer('a global PAX header stands between an entry and its own header')
    this.#sink.globalHeader([...parsePaxHeader(bytes).records.keys()])
  }

  #addMetadata(more: Metadata): void {
    this.#metadata = addMetadata(this.#metadata, more)
  }

  #readEntry(header: TarHeader, block: Buffer): void {
    const storedBytes = storedSize(header, this.#metadata)
    const sparse = sparseEntryOf(header, this.#metadata, block, storedBytes)
    if (sparse !== undefined) this.#readSparseMap(header, sparse)
    else this.#begin(header, storedBytes)
  }

  #readSparseMap(header: TarHeader, sparse: SparseEntry): void {
    if (sparse.isComplete) {
      this.#begin(header, sparse.storedBytes, sparse.content())
      return
    }
    this.#expect(blockBytes, block => {
      sparse.takeBlock(block)
      this.#readSparseMap(header, sparse)
    })
  }

  #begin(header: TarHeader, storedBytes: number, sparse?: FileContent): void {
    const facts = entryOf(header, this.#metadata, this.#limits, sparse)
    if (facts.type !== 'file' && (storedBytes > 0 || header.size > 0 || sparse !== undefined))
      throw invalidLayer(
        `${show(entryName(header, this.#metadata))} is a ${facts.type} and claims to have content`,
      )
    this.#metadata = noMetadata
    this.#metadataBlocks = 0
    this.#expectHeader()
    const passing = paddedBytes(storedBytes)
    this.#padding = passing - storedBytes
    this.#steps.pass(passing)
    this.#sink.begin(facts, storedBytes)
  }

  #expect(bytes: number, step: Step): void {
    this.#expectsHeader = false
    this.#steps.expect(bytes, step)
  }

  #expectHeader(): void {
    this.#expectsHeader = true
    this.#steps.expect(blockBytes, this.#readHeader)
  }
}
