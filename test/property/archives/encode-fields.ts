export function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

export function octal(value: number, length: number): Buffer {
  return latin1(`${value.toString(8).padStart(length - 1, '0')}\0`)
}

/** Two's complement, of GNU tar. */
export function base256(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, value < 0 ? 0xff : 0)
  let rest = BigInt.asUintN(64, BigInt(value))
  for (let index = length - 1; index >= Math.max(0, length - 8); index--, rest >>= 8n)
    bytes[index] = Number(rest & 0xffn)
  bytes[0] = (bytes[0] ?? 0) | 0x80
  return bytes
}

/** `length key=value\n`, where the length counts its own digits. */
export function paxRecord([key, value]: readonly [string, string]): Buffer {
  const rest = ` ${key}=${value}\n`
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return latin1(`${length}${rest}`)
}
