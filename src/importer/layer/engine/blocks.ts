import type { Readable } from 'node:stream'
import { leaveBehind } from './chunk-garbage.ts'

/** Below this, telling another thread of a block and starting its decompressor cost more than the block. */
const blockBytes = 256 * 1024

/**
 * The bytes of a stream in blocks whose memory is their own, so that it can be given to another thread. Small chunks are
 * put together as far as they have come already; nothing waits for more. Leaving early destroys `source`.
 */
export async function* blocksOf(source: Readable): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  // A stream of bytes yields Buffers; its type does not say so.
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes < blockBytes && source.readableLength > 0) continue
    yield joined(chunks, bytes)
    chunks.length = 0
    leaveBehind(bytes)
    bytes = 0
  }
  if (bytes > 0) yield joined(chunks, bytes)
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(bytes)
  let offset = 0
  for (const chunk of chunks) {
    block.set(chunk, offset)
    offset += chunk.length
  }
  return block
}
