/** The same memory: of a Buffer the SDK knows the length, and it can send it again. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
