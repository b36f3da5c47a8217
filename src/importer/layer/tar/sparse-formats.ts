import { type ByteString, show } from '../byte-string.ts'
import { invalidLayer, layerTooLarge, unsupportedLayer } from '../layer-errors.ts'
import { decimalOf, type PaxHeader, paxText } from './pax.ts'
import type { SparseMap } from './sparse-map.ts'
import { blockBytes } from './tar-block.ts'
import { readNumber } from './tar-number.ts'

/** Sources of all of this: GNU tar manual, "Storing Sparse Files"; Go's archive/tar, which reads all of it. */

/** Which form the map of a sparse file has: `records` in the PAX header, `text` before the content. */
export type PaxSparseForm = 'records' | 'text'

/**
 * Whether a PAX header is that of a sparse file.
 * @throws DomainError `unsupported` for a version that is not known, and for parts of one that is: some readers take such
 * a file's map for content.
 */
export function paxSparseForm(pax: PaxHeader, name: ByteString): PaxSparseForm | undefined {
  const key = [...pax.records.keys()].find(key => key.startsWith('GNU.sparse.'))
  if (key === undefined && pax.sparsePairs.length === 0) return undefined
  const version = `${paxText(pax, 'GNU.sparse.major') ?? ''}.${paxText(pax, 'GNU.sparse.minor') ?? ''}`
  const hasMap = pax.sparsePairs.length > 0 || (paxText(pax, 'GNU.sparse.map') ?? '') !== ''
  if (version === '1.0' && !hasMap) return 'text'
  if (version === '0.0' || version === '0.1' || (version === '.' && hasMap)) return 'records'
  throw unsupportedLayer(`${show(name)} is a sparse file of a form that is not known`)
}

/** The size that a PAX header gives for a sparse file, holes included; undefined when it gives none. */
export function paxSparseSize(pax: PaxHeader, name: ByteString): number | undefined {
  const sizes = ['GNU.sparse.size', 'GNU.sparse.realsize']
    .map(key => paxText(pax, key))
    .filter(text => text !== undefined)
  const [size] = sizes.map(decimalOf)
  if (sizes.length > 0 && (size === undefined || sizes.some(text => decimalOf(text) !== size)))
    throw invalidLayer(`the size of the sparse file ${show(name)} is not a number`)
  return size
}

/** Formats 0.0 and 0.1: pairs of offset and length. */
export function readPaxSparseRecords(pax: PaxHeader, map: SparseMap): void {
  const list = paxText(pax, 'GNU.sparse.map') ?? ''
  if (pax.sparsePairs.length > 0 && list !== '') throw map.broken()
  const numbers = pax.sparsePairs.length > 0 ? pax.sparsePairs : list === '' ? [] : list.split(',')
  const blocks = decimalOf(paxText(pax, 'GNU.sparse.numblocks') ?? '')
  if (blocks === undefined || numbers.length !== 2 * blocks) throw map.broken()
  for (let index = 0; index < numbers.length; index += 2)
    map.add(decimalOf(numbers[index] ?? ''), decimalOf(numbers[index + 1] ?? ''))
}

/** Far more than {@link SparseMap} takes segments. */
const maxMapBytes = 1024 * 1024

/** Format 1.0: a count, and then pairs of offset and length, each a line, in whole blocks before the content. */
export class SparseText {
  readonly #map: SparseMap
  #text = ''
  #bytes = 0
  /** Numbers that are still to come; undefined before the count. */
  #missing: number | undefined
  #offset: number | undefined

  constructor(map: SparseMap) {
    this.#map = map
  }

  get isComplete(): boolean {
    return this.#missing === 0
  }

  /** What is left of the last block means nothing. */
  take(block: Buffer): void {
    this.#bytes += block.length
    if (this.#bytes > maxMapBytes)
      throw layerTooLarge(`it has a sparse file with a map of more than ${maxMapBytes} bytes`)
    const lines = (this.#text + block.toString('latin1')).split('\n')
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      if (this.isComplete) break
      this.#takeNumber(decimalOf(line))
    }
    // No number is as long as a block, so a line of that length cannot become one.
    if (!this.isComplete && this.#text.length > blockBytes) throw this.#map.broken()
  }

  #takeNumber(number: number | undefined): void {
    if (number === undefined) throw this.#map.broken()
    if (this.#missing === undefined) {
      this.#missing = number * 2
      return
    }
    this.#missing--
    if (this.#offset === undefined) this.#offset = number
    else {
      this.#map.add(this.#offset, number)
      this.#offset = undefined
    }
  }
}

const numberBytes = 12
const headerMap = { offset: 386, entries: 4, isExtended: 482 }
const extensionMap = { offset: 0, entries: 21, isExtended: 504 }
const realSizeOffset = 483

/** The old form, type `S`: the map begins in the header's own block. Returns whether an extension block follows. */
export function readOldSparseHeader(block: Buffer, map: SparseMap): boolean {
  return readOldSparsePart(block, headerMap, map)
}

/** Returns whether another extension block follows. */
export function readOldSparseExtension(block: Buffer, map: SparseMap): boolean {
  return readOldSparsePart(block, extensionMap, map)
}

/** The size that a header of type `S` gives, holes included. */
export function oldSparseSize(block: Buffer, name: ByteString): number {
  const size = exactNumber(block, realSizeOffset)
  if (size === undefined || size < 0)
    throw invalidLayer(`the size of the sparse file ${show(name)} is not a number`)
  return size
}

function readOldSparsePart(
  block: Buffer,
  { offset, entries, isExtended }: typeof headerMap,
  map: SparseMap,
): boolean {
  for (let entry = 0; entry < entries; entry++) {
    const at = offset + entry * 2 * numberBytes
    // The first empty one ends the map of this block.
    if (block[at] === 0) break
    map.add(exactNumber(block, at), exactNumber(block, at + numberBytes))
  }
  return block[isExtended] !== 0
}

function exactNumber(block: Buffer, offset: number): number | undefined {
  const number = readNumber(block, offset, numberBytes)
  return Number.isSafeInteger(number) ? number : undefined
}

/** What a sparse file is called in a PAX header of its own kind; undefined when there is none. */
export function paxSparseName(pax: PaxHeader): ByteString | undefined {
  const name = paxText(pax, 'GNU.sparse.name')
  if (name?.includes('\0')) throw invalidLayer(`the name ${show(name)} has a NUL byte`)
  return name === '' ? undefined : name
}
