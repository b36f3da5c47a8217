/** POSIX.1-2024, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format". */
export const blockBytes = 512

const zeroBlock = Buffer.alloc(blockBytes)

/** Bytes that content of this size takes in the stream: whole blocks. */
export function paddedBytes(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes
}

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock)
}

const checksumOffset = 148
const checksumBytes = 8

/** The sum of a header's bytes, as if its checksum were spaces. */
export function checksumOf(block: Buffer): number {
  let sum = checksumBytes * 0x20
  for (let index = 0; index < checksumOffset; index++) sum += block[index] ?? 0
  for (let index = checksumOffset + checksumBytes; index < blockBytes; index++) sum += block[index] ?? 0
  return sum
}

/** The sum as Sun's tar made it, of signed bytes; every reader takes it too. */
export function signedChecksumOf(block: Buffer): number {
  let negative = 0
  for (let index = 0; index < blockBytes; index++)
    if (index < checksumOffset || index >= checksumOffset + checksumBytes)
      negative += (block[index] ?? 0) >> 7
  return checksumOf(block) - negative * 256
}
