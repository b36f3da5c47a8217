/** What well-behaved builders never write, on top of test/support/tar.ts. */
import { Readable } from 'node:stream'
import { patched } from '../../../support/tar.ts'

/** Fields of a tar header: where they begin and how long they are. */
export const tarField = {
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  deviceMajor: [329, 8],
} as const

type Field = keyof typeof tarField

/** GNU's base-256: two's complement, of which the first bit says that it is no octal number. */
export function base256(value: bigint, length: number): Buffer {
  const bits = BigInt(length * 8)
  const unsigned = BigInt.asUintN(Number(bits), value)
  const bytes = Buffer.from(unsigned.toString(16).padStart(length * 2, '0'), 'hex')
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return bytes
}

export function withNumber(entry: Uint8Array, field: Field, value: bigint): Buffer {
  const [offset, length] = tarField[field]
  return patched(entry, offset, base256(value, length))
}

export function withBytes(entry: Uint8Array, field: Field, bytes: string): Buffer {
  const [offset, length] = tarField[field]
  return patched(entry, offset, bytes.padEnd(length, '\0'))
}

/** The POSIX field that comes before the name, with a slash between them. */
export function withPrefix(entry: Uint8Array, prefix: string): Buffer {
  return patched(entry, 345, prefix)
}

/** An archive that is never in memory as a whole: `block` again and again. */
export function endless(head: Uint8Array, block: Uint8Array, times: number, tail: Uint8Array): Readable {
  return Readable.from(
    (function* () {
      yield head
      for (let turn = 0; turn < times; turn++) yield block
      yield tail
    })(),
    { objectMode: false },
  )
}
