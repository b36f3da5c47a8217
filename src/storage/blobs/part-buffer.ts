import type { Loan } from './buffer-budget.ts'

/** Collects bytes in order, in borrowed memory and at most `capacity` of them. */
export class PartBuffer implements Disposable {
  readonly #loan: Loan
  readonly #capacity: number
  #size = 0

  constructor(loan: Loan, capacity: number) {
    this.#loan = loan
    this.#capacity = capacity
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size === this.#capacity
  }

  /** What was collected: valid until the buffer is given back. */
  get bytes(): Uint8Array {
    return this.#loan.memory.subarray(0, this.#size)
  }

  /** Takes as many bytes as there is room for, and returns how many. */
  append(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#capacity - this.#size)
    this.#loan.memory.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#size)
    this.#size += taken
    return taken
  }

  /** Gives the memory up, for when a write that failed may still be reading it. */
  discard(): void {
    this.#loan.discard()
  }

  /** Gives the memory back. Idempotent. */
  [Symbol.dispose](): void {
    this.#loan[Symbol.dispose]()
  }
}
