const space = 0x20
const zero = 0x30

/**
 * A number in a tar header: octal digits, with spaces before and spaces or NULs after them, or GNU's base-256, which is
 * two's complement behind a first bit that marks it. A field of spaces and NULs is 0.
 *
 * Stricter than most readers, which take other things after the digits or NULs before them, each its own way.
 * @returns undefined when it is no such number, or does not fit in 64 bits. Inexact beyond 2^53.
 */
export function readNumber(block: Buffer, offset: number, length: number): number | undefined {
  return isBase256(block, offset) ? readBase256(block, offset, length) : readOctal(block, offset, length)
}

/**
 * Whether Go's reader takes the field for a number: it forgives NULs before the digits, and anything after a NUL.
 * It matters where Go reads a field as something else when it is none.
 */
export function isNumberToGo(block: Buffer, offset: number, length: number): boolean {
  if (isBase256(block, offset)) return readBase256(block, offset, length) !== undefined
  const text = block.toString('latin1', offset, offset + length)
  const trimmed = text.replace(/^[ \0]+|[ \0]+$/g, '')
  return trimmed === '' || /^[0-7]+(?:\0|$)/.test(trimmed)
}

function isBase256(block: Buffer, offset: number): boolean {
  return ((block[offset] ?? 0) & 0x80) !== 0
}

function readOctal(block: Buffer, offset: number, length: number): number | undefined {
  const end = offset + length
  let index = offset
  while (index < end && block[index] === space) index++
  let value = 0
  for (; index < end; index++) {
    const digit = (block[index] ?? 0) - zero
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  for (; index < end; index++) if (block[index] !== 0 && block[index] !== space) return undefined
  return value
}

function readBase256(block: Buffer, offset: number, length: number): number | undefined {
  const bits = BigInt(`0x${block.toString('hex', offset, offset + length)}`)
  const value = BigInt.asIntN(length * 8 - 1, bits)
  return BigInt.asIntN(64, value) === value ? Number(value) : undefined
}
