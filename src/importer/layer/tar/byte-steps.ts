/** What is done with the next bytes, once all of them are there. A view, of use until it returns. */
export type Step = (bytes: Buffer) => void

/**
 * Cuts a stream into the pieces that its reader asks for, one after the other: so many bytes at once for a
 * {@link Step}, or so many handed on as they come. Nothing is copied but pieces that two chunks share.
 */
export class ByteSteps {
  readonly #handOn: (bytes: Buffer) => void
  /** Bytes that still are to be handed on; the step comes after them. */
  #passing = 0
  #step: Step
  #needed: number
  #gathered: Buffer | undefined
  #gatheredBytes = 0

  constructor(first: { readonly bytes: number; readonly step: Step }, handOn: (bytes: Buffer) => void) {
    this.#needed = first.bytes
    this.#step = first.step
    this.#handOn = handOn
  }

  /** Bytes that still are to be handed on before the next step. */
  get passing(): number {
    return this.#passing
  }

  /** Whether nothing of the next step's bytes has come, nor is anything on its way before it. */
  get isBetween(): boolean {
    return this.#passing === 0 && this.#gathered === undefined
  }

  /** Called by a step, or before the first byte: the next `bytes` bytes are for `step`. */
  expect(bytes: number, step: Step): void {
    this.#needed = bytes
    this.#step = step
    if (bytes === 0) step(Buffer.alloc(0))
  }

  /** Called by a step: the next `bytes` bytes are handed on, before what else is expected. */
  pass(bytes: number): void {
    this.#passing = bytes
  }

  /** @param isOver asked after each piece: whether the rest means nothing. */
  take(chunk: Buffer, isOver: () => boolean): void {
    for (let offset = 0; offset < chunk.length && !isOver(); )
      offset += this.#passing > 0 ? this.#handOnFrom(chunk, offset) : this.#gatherFrom(chunk, offset)
  }

  #handOnFrom(chunk: Buffer, offset: number): number {
    const count = Math.min(this.#passing, chunk.length - offset)
    this.#passing -= count
    this.#handOn(chunk.subarray(offset, offset + count))
    return count
  }

  #gatherFrom(chunk: Buffer, offset: number): number {
    const count = Math.min(this.#needed - this.#gatheredBytes, chunk.length - offset)
    if (count === this.#needed) {
      this.#step(chunk.subarray(offset, offset + count))
      return count
    }
    this.#gathered ??= Buffer.allocUnsafe(this.#needed)
    chunk.copy(this.#gathered, this.#gatheredBytes, offset, offset + count)
    this.#gatheredBytes += count
    if (this.#gatheredBytes === this.#needed) {
      const bytes = this.#gathered
      this.#gathered = undefined
      this.#gatheredBytes = 0
      this.#step(bytes)
    }
    return count
  }
}
