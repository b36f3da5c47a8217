import { Transform, type TransformCallback } from 'node:stream'
import { invalidLayer, layerTooLarge } from '../layer-errors.ts'
import { parsePaxRecords, sizeOf } from './pax.ts'
import { blockBytes, parseTarHeader, type TarHeader } from './tar-header.ts'

/** PAX headers and long names: the longest sound ones hold a few extended attributes of 64 KiB. */
const maxMetadataBytes = 1024 * 1024

type Metadata = Extract<TarHeader['kind'], 'pax' | 'long-name' | 'long-link'>

/**
 * Stands in front of tar-stream and lets only those tar streams pass that every reader takes for the same entries.
 *
 * - It refuses what readers disagree about: content after headers that have none, numbers and PAX records that
 *   are not exact, two headers of the same kind for one entry, unknown types and formats, sparse files.
 * - It drops PAX global headers: tar-stream merges them into some entries, Go and we apply them to none.
 * - It drops everything from the end-of-archive on, but reads it: digests cover it.
 */
export class TarGuard extends Transform {
  /** The part of a header that has come so far. */
  #partial: Buffer = Buffer.alloc(0)
  /** Bytes of the present body, padding included, that are still to come. */
  #remaining = 0
  /** What is done with the present body. */
  #use: 'pass' | 'drop' | 'pass and collect' = 'pass'
  #collected: Buffer[] = []
  #collectedSize = 0
  /** Headers that belong to the next entry. */
  readonly #metadata = new Set<Metadata>()
  #paxSize: number | undefined
  #zeroBlocks = 0

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    try {
      this.#take(chunk)
      callback()
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)))
    }
  }

  override _flush(callback: TransformCallback): void {
    // As everywhere, the end-of-archive itself may be missing or half.
    const isWhole = this.#remaining === 0 && this.#partial.length === 0 && this.#metadata.size === 0
    callback(isWhole ? null : invalidLayer('the tar stream ends in the middle of an entry'))
  }

  get #atEnd(): boolean {
    return this.#zeroBlocks === 2
  }

  #take(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0 && !this.#atEnd)
      rest = this.#remaining > 0 ? this.#takeBody(rest) : this.#takeHeader(rest)
  }

  #takeBody(bytes: Buffer): Buffer {
    const part = bytes.subarray(0, this.#remaining)
    if (this.#use === 'pass and collect') this.#collected.push(part)
    if (this.#use !== 'drop') this.push(part)
    this.#remaining -= part.length
    if (this.#remaining === 0 && this.#use === 'pass and collect') this.#readPax()
    return bytes.subarray(part.length)
  }

  #takeHeader(bytes: Buffer): Buffer {
    const needed = blockBytes - this.#partial.length
    const part = bytes.subarray(0, needed)
    const block = this.#partial.length === 0 ? part : Buffer.concat([this.#partial, part])
    if (block.length < blockBytes) this.#partial = block
    else {
      this.#partial = Buffer.alloc(0)
      this.#readHeader(block)
    }
    return bytes.subarray(part.length)
  }

  #readHeader(block: Buffer): void {
    const header = parseTarHeader(block)
    if (header === undefined) {
      if (this.#metadata.size > 0) throw invalidLayer('the tar stream ends where an entry should follow')
      this.#zeroBlocks++
      return
    }
    if (this.#zeroBlocks > 0) throw invalidLayer('the tar stream has a single block of zeros between entries')
    switch (header.kind) {
      case 'global-pax':
        this.#beginBody(header.size, 'drop')
        break
      case 'pax':
        this.#noteMetadata(header.kind, header.size)
        this.push(block)
        this.#beginPax(header.size)
        break
      case 'long-name':
      case 'long-link':
        this.#noteMetadata(header.kind, header.size)
        this.push(block)
        this.#beginBody(header.size, 'pass')
        break
      case 'file':
      case 'header-only':
        this.push(block)
        this.#beginEntry(header)
        break
    }
  }

  #beginEntry({ kind, size: ownSize }: TarHeader): void {
    const size = this.#paxSize ?? ownSize
    this.#metadata.clear()
    this.#paxSize = undefined
    if (kind === 'header-only' && size !== 0)
      throw invalidLayer('a link, directory, device or FIFO in it claims to have content')
    this.#beginBody(size, 'pass')
  }

  #beginPax(size: number): void {
    this.#collected = []
    this.#collectedSize = size
    this.#beginBody(size, 'pass and collect')
  }

  #beginBody(size: number, use: 'pass' | 'drop' | 'pass and collect'): void {
    this.#use = use
    this.#remaining = Math.ceil(size / blockBytes) * blockBytes
  }

  #readPax(): void {
    const padded = Buffer.concat(this.#collected)
    this.#collected = []
    this.#paxSize = sizeOf(parsePaxRecords(padded.subarray(0, this.#collectedSize)))
  }

  #noteMetadata(kind: Metadata, size: number): void {
    if (size === 0) throw invalidLayer('it has an empty header for an entry')
    if (size > maxMetadataBytes)
      throw layerTooLarge(`it has a header of ${size} bytes; at most ${maxMetadataBytes} are read`)
    if (this.#metadata.has(kind)) throw invalidLayer('an entry has two headers of the same kind')
    this.#metadata.add(kind)
  }
}
