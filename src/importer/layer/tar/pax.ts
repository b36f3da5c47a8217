import { asByteString, type ByteString, show } from '../byte-string.ts'
import { invalidLayer } from '../layer-errors.ts'

export interface PaxHeader {
  /** The last of each key, as its bytes: a view of the header's. */
  readonly records: ReadonlyMap<ByteString, Buffer>
  /** Offset, length, offset … of a sparse file's segments as GNU's format 0.0 has them, with their keys repeated. */
  readonly sparsePairs: readonly ByteString[]
}

export const noPaxHeader: PaxHeader = Object.freeze({ records: new Map(), sparsePairs: [] })

const space = 0x20
const newline = 0x0a
const equals = 0x3d

/**
 * Parses `length key=value\n` records. Source: POSIX.1-2024, pax, "pax Header Block", as strict as it is written:
 * readers that forgive wrong lengths disagree about where a record ends.
 * @throws DomainError `invalid`.
 */
export function parsePaxHeader(bytes: Buffer): PaxHeader {
  const records = new Map<ByteString, Buffer>()
  const sparsePairs: ByteString[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const { end, keyStart } = readLength(bytes, offset)
    const keyEnd = bytes.indexOf(equals, keyStart)
    if (keyEnd <= keyStart || keyEnd >= end - 1) throw brokenRecord()
    const key = asByteString(bytes.toString('latin1', keyStart, keyEnd))
    const value = bytes.subarray(keyEnd + 1, end - 1)
    checkText(key, value)
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
      sparsePairs.push(sparsePairValue(sparsePairs.length, key, value))
    else records.set(key, value)
    offset = end
  }
  return { records, sparsePairs }
}

/** A record's value as text, one character for each byte; undefined when there is no such record. */
export function paxText({ records }: PaxHeader, key: string): ByteString | undefined {
  const value = records.get(asByteString(key))
  return value === undefined ? undefined : asByteString(value.toString('latin1'))
}

/** More digits than any number has, and few enough to be cheap. */
const decimal = /^\d{1,40}$/

/** A whole number of 0 or more in decimal digits; undefined when it is none, or beyond 2^53. */
export function decimalOf(text: string): number | undefined {
  const number = Number(text)
  return decimal.test(text) && Number.isSafeInteger(number) ? number : undefined
}

function readLength(bytes: Buffer, offset: number): { end: number; keyStart: number } {
  let length = 0
  let index = offset
  for (; index < bytes.length && bytes[index] !== space; index++) {
    const digit = (bytes[index] ?? 0) - 0x30
    const isSound = digit >= 0 && digit <= 9 && (digit > 0 || index > offset) && length <= bytes.length
    if (!isSound) throw brokenRecord()
    length = length * 10 + digit
  }
  const end = offset + length
  if (end > bytes.length || end <= index + 1 || bytes[end - 1] !== newline) throw brokenRecord()
  return { end, keyStart: index + 1 }
}

function brokenRecord(): Error {
  return invalidLayer('a PAX header has a broken record')
}

const keysOfText: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname'])

function checkText(key: ByteString, value: Buffer): void {
  if (key.includes('\0') || (keysOfText.has(key) && value.includes(0)))
    throw invalidLayer(`the PAX record ${show(key)} has a NUL byte`)
}

function sparsePairValue(index: number, key: string, value: Buffer): ByteString {
  const expected = index % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes'
  if (key !== expected) throw invalidLayer('a PAX header has the map of a sparse file in the wrong order')
  return asByteString(value.toString('latin1'))
}
