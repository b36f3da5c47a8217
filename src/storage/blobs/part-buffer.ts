/** Memory that a small upload does not have to pay for in full: it doubles from here up to the part size. */
const firstBytes = 64 * 1024

/** Collects bytes in order, at most `capacity` of them. */
export class PartBuffer {
  readonly #capacity: number
  #memory: Buffer
  #size = 0

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#memory = Buffer.allocUnsafe(Math.min(firstBytes, capacity))
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size === this.#capacity
  }

  /** What was collected: valid until the next `append` or `clear`. */
  get bytes(): Uint8Array {
    return this.#memory.subarray(0, this.#size)
  }

  /** Takes as many bytes as there is room for, and returns how many. */
  append(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#capacity - this.#size)
    this.#grow(this.#size + taken)
    this.#memory.set(bytes.subarray(0, taken), this.#size)
    this.#size += taken
    return taken
  }

  clear(): void {
    this.#size = 0
  }

  #grow(wanted: number): void {
    if (wanted <= this.#memory.length) return
    let length = this.#memory.length
    while (length < wanted) length *= 2
    const larger = Buffer.allocUnsafe(Math.min(length, this.#capacity))
    larger.set(this.bytes)
    this.#memory = larger
  }
}
