/** The last bytes of what grows, in memory, so that many who read along at its end need not read them from disk. */
export class RecentChunks {
  readonly #maxBytes: number
  readonly #chunks: { readonly first: number; readonly bytes: Uint8Array }[] = []
  #end = 0

  /** @param maxBytes how much is kept; the last chunk always is. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Position of the first byte that is kept. */
  get start(): number {
    return this.#chunks[0]?.first ?? this.#end
  }

  /** Position after the last byte. */
  get end(): number {
    return this.#end
  }

  /** Where {@link start} will be when so many bytes more have come. */
  startAfter(bytes: number): number {
    const isKept = ({ first }: { readonly first: number }): boolean =>
      this.#end + bytes - first <= this.#maxBytes
    return this.#chunks.find(isKept)?.first ?? this.#end
  }

  /** Nobody may change the chunk from here on. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const start = this.startAfter(bytes.length)
    while (this.start < start) this.#chunks.shift()
    this.#chunks.push({ first: this.#end, bytes })
    this.#end += bytes.length
  }

  /** What is kept from `position` to the end of its chunk, shared; undefined when it is not kept. */
  at(position: number): Uint8Array | undefined {
    if (position < this.start) return undefined
    const chunk = this.#chunks.find(({ first, bytes }) => position < first + bytes.length)
    return chunk?.bytes.subarray(position - chunk.first)
  }

  clear(): void {
    this.#chunks.length = 0
  }
}
