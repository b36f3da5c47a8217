import { invalidLayer, unsupportedLayer } from '../layer-errors.ts'

/** POSIX.1-2024, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format". */
export const blockBytes = 512

const zeroBlock = Buffer.alloc(blockBytes)

export type TarHeader =
  /** The one before the entry says more about it: a PAX header, or GNU's long names. */
  | { readonly kind: 'pax' | 'global-pax' | 'long-name' | 'long-link'; readonly size: number }
  /** `size` bytes of content follow, unless a PAX header says otherwise. */
  | { readonly kind: 'file'; readonly size: number }
  /** Link, directory, device or FIFO: nothing follows. */
  | { readonly kind: 'header-only'; readonly size: number }

const field = {
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
} as const satisfies Readonly<Record<string, readonly [offset: number, length: number]>>

const typeOffset = 156
const magicOffset = 257
const starTrailerOffset = 508

/**
 * Reads what decides where the next header stands, as strictly as possible: two readers that disagree about
 * it see two different layers in the same bytes.
 * @returns undefined for a block of zeros.
 * @throws DomainError `invalid`, `unsupported`.
 */
export function parseTarHeader(block: Buffer): TarHeader | undefined {
  if (block.equals(zeroBlock)) return undefined
  checkChecksum(block)
  checkFormat(block)
  unsignedField(block, 'mode')
  unsignedField(block, 'uid')
  unsignedField(block, 'gid')
  checkTime(block)
  const size = unsignedField(block, 'size')
  const type = String.fromCharCode(block[typeOffset] ?? 0)
  switch (type) {
    case '\0':
    case '0':
    case '7':
      return { kind: 'file', size }
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
      return { kind: 'header-only', size }
    case 'x':
      return { kind: 'pax', size }
    case 'g':
      return { kind: 'global-pax', size }
    case 'L':
      return { kind: 'long-name', size }
    case 'K':
      return { kind: 'long-link', size }
    case 'S':
      throw unsupportedLayer('it has a sparse file in the old GNU form')
    default:
      throw unsupportedLayer(`it has an entry of the unknown type ${JSON.stringify(type)}`)
  }
}

function checkChecksum(block: Buffer): void {
  const [offset, length] = field.checksum
  let sum = 0
  for (let index = 0; index < block.length; index++)
    sum += index >= offset && index < offset + length ? 0x20 : (block[index] ?? 0)
  if (octal(block, 'checksum') !== sum) throw invalidLayer('a tar header has the wrong checksum')
}

function checkFormat(block: Buffer): void {
  const magic = block.toString('latin1', magicOffset, magicOffset + 8)
  const isPlain = magic.startsWith('ustar\0') || magic === 'ustar  \0' || magic === '\0'.repeat(8)
  if (!isPlain) throw unsupportedLayer('a tar header is of no known format')
  if (block.toString('latin1', starTrailerOffset, starTrailerOffset + 4) === 'tar\0')
    throw unsupportedLayer('it is in the format of star, whose names are read in different ways')
}

/** Base-256 numbers are read exactly or refused: other readers take odd first bytes in different ways. */
function unsignedField(block: Buffer, name: keyof typeof field): number {
  const [offset, length] = field[name]
  if (!isBase256(block, offset)) return octal(block, name)
  const number = BigInt(`0x${block.toString('hex', offset + 1, offset + length)}`)
  if (block[offset] !== 0x80 || number > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalidLayer(`the ${name} in a tar header is negative or too large`)
  return Number(number)
}

/** A time may be negative; it is clamped later. */
function checkTime(block: Buffer): void {
  const [offset] = field.mtime
  if (!isBase256(block, offset)) octal(block, 'mtime')
  else if (block[offset] !== 0x80 && block[offset] !== 0xff)
    throw invalidLayer('the mtime in a tar header is out of range')
}

function isBase256(block: Buffer, offset: number): boolean {
  return ((block[offset] ?? 0) & 0x80) !== 0
}

function octal(block: Buffer, name: keyof typeof field): number {
  const [offset, length] = field[name]
  const [, digits] = /^ *([0-7]*)[ \0]*$/.exec(block.toString('latin1', offset, offset + length)) ?? []
  if (digits === undefined) throw invalidLayer(`the ${name} in a tar header is not an octal number`)
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}
