/** Memory of one size that is used again. What is given back must not be read or written by anybody any more. */
export class SpareBuffers {
  readonly #size: number
  readonly #max: number
  readonly #spare: Buffer[] = []

  /** @param size bytes of each; @param max how many are kept while nobody needs them. */
  constructor(size: number, max: number) {
    this.#size = size
    this.#max = max
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.from(new SharedArrayBuffer(this.#size))
  }

  giveBack(buffer: Buffer): void {
    if (this.#spare.length < this.#max) this.#spare.push(buffer)
  }
}
