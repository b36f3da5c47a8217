import { asByteString, type ByteString, show } from '../byte-string.ts'
import { invalidLayer, unsupportedLayer } from '../layer-errors.ts'
import { checksumOf, isZeroBlock, signedChecksumOf } from './tar-block.ts'
import { isNumberToGo, readNumber } from './tar-number.ts'

/** What a header's own block says. PAX headers and GNU's long names may say otherwise. */
export interface TarHeader {
  /** The type's character: `0` for a file, also when the header has none. */
  readonly type: string
  readonly name: ByteString
  readonly linkname: ByteString
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of content in the stream: 0 or more, exact. */
  readonly size: number
  /** Seconds since 1970: any that fit in 64 bits. */
  readonly mtime: number
  readonly format: TarFormat
}

export type TarFormat = 'v7' | 'ustar' | 'star' | 'gnu'

const field = {
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  devmajor: [329, 8],
  devminor: [337, 8],
} as const satisfies Readonly<Record<string, NumberField>>

type NumberField = readonly [offset: number, length: number]

/** By format, as times of access and change: not used, but a reader that fails on them sees another archive. */
const timesOfStar: readonly NumberField[] = [
  [476, 12],
  [488, 12],
]
const timesOfGnu: readonly NumberField[] = [
  [345, 12],
  [357, 12],
]

const nameBytes = 100
const typeOffset = 156
const linknameOffset = 157
const magicOffset = 257
const prefixOffset = 345
const starTrailerOffset = 508

/**
 * Reads a block as Go's archive/tar does, which all engines rest on, and refuses what other readers read in another
 * way: two that disagree see two different layers in the same bytes.
 * @returns undefined for a block of zeros.
 * @throws DomainError `invalid`, `unsupported`.
 */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (isZeroBlock(block)) return undefined
  checkChecksum(block)
  const format = formatOf(block)
  const name = nameOf(block, format)
  const type = block.toString('latin1', typeOffset, typeOffset + 1)
  if (format !== 'v7') {
    readField(block, 'devmajor', name)
    readField(block, 'devminor', name)
  }
  return {
    type: type === '\0' ? '0' : type,
    name,
    linkname: type === '1' || type === '2' ? textAt(block, linknameOffset, nameBytes) : noText,
    mode: readUnsigned(block, 'mode', name),
    uid: readField(block, 'uid', name),
    gid: readField(block, 'gid', name),
    size: readUnsigned(block, 'size', name),
    mtime: readField(block, 'mtime', name),
    format,
  }
}

const noText = asByteString('')

function checkChecksum(block: Buffer): void {
  const [offset, length] = field.checksum
  const stated = readNumber(block, offset, length)
  if (stated !== checksumOf(block) && stated !== signedChecksumOf(block))
    throw invalidLayer('a tar header has the wrong checksum')
}

function formatOf(block: Buffer): TarFormat {
  const magic = block.toString('latin1', magicOffset, magicOffset + 8)
  if (magic.startsWith('ustar\0'))
    return block.toString('latin1', starTrailerOffset, starTrailerOffset + 4) === 'tar\0' ? 'star' : 'ustar'
  if (magic === 'ustar  \0') return 'gnu'
  if (magic === '\0\0\0\0\0\0\0\0') return 'v7'
  throw unsupportedLayer('a tar header is of no known format')
}

function nameOf(block: Buffer, format: TarFormat): ByteString {
  const name = textAt(block, 0, nameBytes)
  const prefixBytes = prefixBytesOf(block, format, name)
  if (prefixBytes === 0 || block[prefixOffset] === 0) return name
  return asByteString(`${textAt(block, prefixOffset, prefixBytes)}/${name}`)
}

function prefixBytesOf(block: Buffer, format: TarFormat, name: ByteString): number {
  switch (format) {
    case 'ustar':
      return 155
    case 'star':
      if (!timesOfStar.every(([offset, length]) => readNumber(block, offset, length) !== undefined))
        throw invalidLayer(`a time in the tar header of ${show(name)} is not a number`)
      return 131
    case 'gnu':
      return hasPrefixOfOldGo(block) ? 155 : 0
    case 'v7':
      return 0
  }
}

/**
 * Go before 1.8 wrote a name's prefix into headers of GNU, where the times of access and change are, when the
 * owner's number was large. Go still reads it, so that engines see those images as they were meant.
 */
function hasPrefixOfOldGo(block: Buffer): boolean {
  const isTime = ([offset, length]: NumberField): boolean =>
    block[offset] === 0 || isNumberToGo(block, offset, length)
  if (timesOfGnu.every(isTime)) return false
  return /^[\x01-\x7f]*(?:\0|$)/.test(block.toString('latin1', prefixOffset, prefixOffset + 155))
}

/** Up to the first NUL, if there is one. */
function textAt(block: Buffer, offset: number, length: number): ByteString {
  const nul = block.indexOf(0, offset)
  const end = nul < 0 || nul > offset + length ? offset + length : nul
  return asByteString(block.toString('latin1', offset, end))
}

function readUnsigned(block: Buffer, name: keyof typeof field, entry: ByteString): number {
  const number = readField(block, name, entry)
  if (number < 0 || !Number.isSafeInteger(number))
    throw invalidLayer(`the ${name} in the tar header of ${show(entry)} is negative or too large`)
  return number
}

function readField(block: Buffer, name: keyof typeof field, entry: ByteString): number {
  const [offset, length] = field[name]
  const number = readNumber(block, offset, length)
  if (number === undefined)
    throw invalidLayer(`the ${name} in the tar header of ${show(entry)} is not a number`)
  return number
}
