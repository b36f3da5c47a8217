import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { DomainError } from '../../errors.ts'
import { broken } from './broken-backup.ts'

/**
 * Bytes in chunks that are encrypted one by one, so that none is used before it is known to be right:
 *
 *     "varve-sealed-1\n"  salt (16 bytes)  chunk …
 *     chunk: length and whether it is the last (4 bytes, big endian), ciphertext, tag (16 bytes)
 *
 * AES-256-GCM with a key of its own for each backup (HKDF-SHA256 of the secret and the salt, RFC 5869), the chunk's number as
 * nonce, and its first four bytes authenticated: chunks cannot be left out, put elsewhere or cut off at the end.
 */
const magic = Buffer.from('varve-sealed-1\n')
const saltBytes = 16
const headBytes = 4
const tagBytes = 16
const chunkBytes = 256 * 1024
const lastFlag = 0x8000_0000

export const minSecretBytes = 32

/** What is in the file that `backup.keyFile` names. @throws DomainError `invalid` when it is too short to be random. */
export function parseBackupSecret(text: string): Uint8Array {
  const secret = Buffer.from(text)
  if (secret.length >= minSecretBytes) return secret
  throw new DomainError(
    'invalid',
    `The key of the backups is shorter than ${minSecretBytes} characters; make one with \`openssl rand -hex 32\`.`,
    { resource: 'config', name: 'backup.keyFile' },
  )
}

export async function* seal(plain: AsyncIterable<Uint8Array>, secret: Uint8Array): AsyncGenerator<Buffer> {
  const salt = randomBytes(saltBytes)
  const key = keyOf(secret, salt)
  yield Buffer.concat([magic, salt])
  let number = 0
  let waiting = Buffer.alloc(0)
  for await (const bytes of plain) {
    waiting = Buffer.concat([waiting, bytes])
    // The last one is known only when no more come.
    for (; waiting.length > chunkBytes; waiting = waiting.subarray(chunkBytes))
      yield sealed(key, number++, waiting.subarray(0, chunkBytes), false)
  }
  yield sealed(key, number, waiting, true)
}

/** Whether bytes begin as {@link seal} does. */
export function isSealed(beginning: Uint8Array): boolean {
  return magic.equals(beginning.subarray(0, magic.length))
}

/** Bytes that are needed to ask {@link isSealed}. */
export const magicBytes = magic.length

/** @throws DomainError `invalid` for what was changed, cut off, or sealed with another key. */
export async function* unseal(bytes: AsyncIterable<Uint8Array>, secret: Uint8Array): AsyncGenerator<Buffer> {
  let waiting = Buffer.alloc(0)
  let key: Uint8Array | undefined
  let isOver = false
  let number = 0
  for await (const more of bytes) {
    if (isOver) throw broken('something comes after its end')
    waiting = Buffer.concat([waiting, more])
    if (key === undefined) {
      if (waiting.length < magic.length + saltBytes) continue
      if (!isSealed(waiting)) throw broken('it is not encrypted as a backup is')
      key = keyOf(secret, waiting.subarray(magic.length, magic.length + saltBytes))
      waiting = waiting.subarray(magic.length + saltBytes)
    }
    for (;;) {
      if (waiting.length < headBytes) break
      const head = waiting.readUInt32BE(0)
      const length = head & ~lastFlag
      if (length > chunkBytes) throw broken('it is not encrypted as a backup is')
      const end = headBytes + length + tagBytes
      if (waiting.length < end) break
      yield unsealed(key, number++, waiting.subarray(0, end))
      waiting = waiting.subarray(end)
      isOver = head >= lastFlag
      if (isOver && waiting.length > 0) throw broken('something comes after its end')
    }
  }
  if (!isOver) throw broken('its end is missing')
}

function keyOf(secret: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, 'varve backup', 32))
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(number, 6, 6)
  return nonce
}

function sealed(key: Uint8Array, number: number, plain: Uint8Array, isLast: boolean): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32BE(plain.length + (isLast ? lastFlag : 0))
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number))
  cipher.setAAD(head)
  return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function unsealed(key: Uint8Array, number: number, chunk: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number), { authTagLength: tagBytes })
  decipher.setAAD(chunk.subarray(0, headBytes))
  decipher.setAuthTag(chunk.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(chunk.subarray(headBytes, -tagBytes)), decipher.final()])
  } catch (cause) {
    throw broken('it was changed, or backup.keyFile is not the key that it was made with', cause)
  }
}
