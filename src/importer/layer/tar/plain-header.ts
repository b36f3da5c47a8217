import { blockBytes, checksumOf } from './tar-block.ts'

const sizeOffset = 124
const sizeDigits = 11
const maxOctalSize = 8 ** sizeDigits - 1
const checksumOffset = 148
const checksumDigits = 6

const template = Buffer.alloc(blockBytes)
template.fill('0', sizeOffset, sizeOffset + sizeDigits)
template.write('0', 156)
template.write('ustar\x0000', 257)

/** The header of a file that every reader takes for the same: nothing but type and size, the rest empty. */
export function plainHeader(size: number): Buffer {
  const block = Buffer.from(template)
  if (size <= maxOctalSize) writeOctal(block, sizeOffset, sizeDigits, size)
  else {
    block[sizeOffset] = 0x80
    block.fill(0, sizeOffset + 1, sizeOffset + 4)
    block.writeBigUInt64BE(BigInt(size), sizeOffset + 4)
  }
  return seal(block, checksumOf(block))
}

function seal(block: Buffer, checksum: number): Buffer {
  writeOctal(block, checksumOffset, checksumDigits, checksum)
  block[checksumOffset + checksumDigits] = 0
  block[checksumOffset + checksumDigits + 1] = 0x20
  return block
}

function writeOctal(block: Buffer, offset: number, digits: number, value: number): void {
  let rest = value
  for (let index = offset + digits - 1; index >= offset; index--) {
    const digit = rest % 8
    block[index] = 0x30 + digit
    rest = (rest - digit) / 8
  }
}
