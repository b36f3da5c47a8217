import type { LayerEntry } from '../entry.ts'
import { blockBytes, checksumOf } from './tar-block.ts'

type EntryType = LayerEntry['type']

const typeflags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  device: '3',
  directory: '5',
  fifo: '6',
}

const sizeOffset = 124
const sizeDigits = 11
const maxOctalSize = 8 ** sizeDigits - 1
const checksumOffset = 148
const checksumDigits = 6

interface Template {
  readonly block: Buffer
  readonly checksum: number
}

const templates = new Map<EntryType, Template>()

/**
 * A header that every reader takes for the same: nothing but type and size, the rest empty. Shared between calls, so
 * it must not be changed.
 */
export function plainHeader(type: EntryType, size: number): Buffer {
  const template = templateOf(type)
  if (size === 0) return template.block
  const block = Buffer.allocUnsafe(blockBytes)
  template.block.copy(block)
  if (size <= maxOctalSize)
    // The template's size is zeros, so only the digits are to be added up.
    return seal(block, template.checksum + writeOctal(block, sizeOffset, sizeDigits, size))
  block[sizeOffset] = 0x80
  block.fill(0, sizeOffset + 1, sizeOffset + 4)
  block.writeBigUInt64BE(BigInt(size), sizeOffset + 4)
  return seal(block, checksumOf(block))
}

function templateOf(type: EntryType): Template {
  let template = templates.get(type)
  if (template === undefined) {
    const block = Buffer.alloc(blockBytes)
    block.fill('0', sizeOffset, sizeOffset + sizeDigits)
    block.write(typeflags[type], 156)
    block.write('ustar\x0000', 257)
    const checksum = checksumOf(block)
    template = { block: seal(block, checksum), checksum }
    templates.set(type, template)
  }
  return template
}

function seal(block: Buffer, checksum: number): Buffer {
  writeOctal(block, checksumOffset, checksumDigits, checksum)
  block[checksumOffset + checksumDigits] = 0
  block[checksumOffset + checksumDigits + 1] = 0x20
  return block
}

/** Returns the sum of the digits. */
function writeOctal(block: Buffer, offset: number, digits: number, value: number): number {
  let rest = value
  let sum = 0
  for (let index = offset + digits - 1; index >= offset; index--) {
    const digit = rest % 8
    block[index] = 0x30 + digit
    sum += digit
    rest = (rest - digit) / 8
  }
  return sum
}
