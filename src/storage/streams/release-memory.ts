/** Less is not worth the trouble. */
const worthwhileBytes = 16 * 1024

/**
 * Gives the memory of a chunk back at once. Nobody may use the chunk any more. Left to the garbage collector, memory of
 * chunks is found so late that looking for it costs more than everything else that is done with them.
 *
 * Of a chunk that is a piece of a larger memory nothing is given back: others may use the rest.
 */
export function releaseMemory({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < worthwhileBytes || byteLength !== buffer.byteLength) return
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}
