/**
 * Bytes as text: one character, U+0000 to U+00FF, for each byte. Names in a layer are bytes in no known
 * encoding; in this form they are lossless, cheap to compare and usable as keys.
 */
export type ByteString = string & { readonly __brand: 'ByteString' }

export function byteStringOf(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ByteString
}

/** The UTF-8 bytes of a text. */
export function encodeText(text: string): ByteString {
  return byteStringOf(Buffer.from(text, 'utf8'))
}

/** For text that is in the one-character-per-byte form already, such as `latin1` answers of Node's calls. */
export function asByteString(latin1: string): ByteString {
  return latin1 as ByteString
}

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1')
}

const shownCharacters = 160

/** For messages: quoted, on one line, cut when long. */
export function show(text: ByteString): string {
  const readable = bytesOf(text).toString('utf8')
  const cut = readable.length > shownCharacters ? `${readable.slice(0, shownCharacters)}…` : readable
  return JSON.stringify(cut)
}
