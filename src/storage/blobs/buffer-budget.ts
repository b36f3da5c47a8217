import type { Abortable } from '../abortable.ts'

/** What a process that was not told otherwise buffers: eight parts of the default size. */
export const defaultUploadMemoryBytes = 64 * 1024 * 1024

export interface BufferBudgetOptions {
  /** Bytes that are lent out at any moment, at most; idle memory that is kept for reuse counts too. */
  readonly limitBytes: number
  /** Memory of this size is kept and lent again; at most half of the limit, so that two uploads fit. */
  readonly partBytes: number
}

export interface TakeOptions extends Abortable {
  /** Goes before all who wait: for what ends a push, is short and lets go of more than it takes. */
  readonly urgent?: boolean | undefined
}

/** Memory on loan. It must not be touched after it was given back. Until it is asked for there is none, only the right to it. */
export interface Loan extends Disposable {
  /** At least as many bytes as were asked for, with whatever was in them before. */
  readonly memory: Uint8Array
  /** Gives it back without letting it be used again: somebody may still be reading it. */
  discard(): void
}

interface Waiter {
  readonly bytes: number
  readonly resolve: (loan: Loan) => void
}

/**
 * The memory that request bodies may fill in this process. Who finds none left waits, first come first served, and
 * the body that stays unread slows its sender down.
 *
 * Nobody who holds a loan may wait for another one, or all could wait for each other: {@link tryTake} is for them.
 */
export class BufferBudget {
  readonly limitBytes: number
  readonly #partBytes: number
  readonly #waiting: Waiter[] = []
  #idle: Uint8Array[] = []
  #used = 0

  constructor({ limitBytes, partBytes }: BufferBudgetOptions) {
    if (limitBytes < 2 * partBytes)
      throw new RangeError(`a budget of ${limitBytes} bytes has no room for two parts of ${partBytes}`)
    this.limitBytes = limitBytes
    this.#partBytes = partBytes
  }

  /** Bytes on loan. */
  get usedBytes(): number {
    return this.#used
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Whether others wait for what is on loan, so that nobody should keep it longer than needed. */
  get isShort(): boolean {
    return this.#waiting.length > 0
  }

  /** At once, or not at all; not at all while others wait. */
  tryTake(bytes: number): Loan | undefined {
    const charge = this.#chargeOf(bytes)
    return this.isShort || this.#used + charge > this.limitBytes ? undefined : this.#lend(charge)
  }

  /**
   * Waits until the memory is there. Not for callers that hold a loan already.
   * @param bytes more than the limit counts as the limit, so that waiting always ends.
   */
  async take(bytes: number, { signal, urgent = false }: TakeOptions = {}): Promise<Loan> {
    signal?.throwIfAborted()
    const charge = this.#chargeOf(bytes)
    if ((urgent || !this.isShort) && this.#used + charge <= this.limitBytes) return this.#lend(charge)
    const { promise, resolve, reject } = Promise.withResolvers<Loan>()
    const waiter: Waiter = { bytes: charge, resolve }
    if (urgent) this.#waiting.unshift(waiter)
    else this.#waiting.push(waiter)
    const leave = (): void => {
      const place = this.#waiting.indexOf(waiter)
      // A loan that was granted before the abort is the caller's to give back.
      if (place < 0) return
      this.#waiting.splice(place, 1)
      reject(signal?.reason as Error)
      // Those behind may want less.
      this.#serve()
    }
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  /** Most of a part is charged as a part, so that its memory can be used again. */
  #chargeOf(bytes: number): number {
    const isPart = bytes > this.#partBytes / 2 && bytes <= this.#partBytes
    return isPart ? this.#partBytes : Math.min(bytes, this.limitBytes)
  }

  #lend(charge: number): Loan {
    this.#used += charge
    let memory: Uint8Array | undefined
    let isOut = true
    const giveBack = (reusable: boolean): void => {
      if (!isOut) return
      isOut = false
      if (reusable && charge === this.#partBytes && memory !== undefined) this.#idle.push(memory)
      this.#takeBack(charge)
    }
    const take = () => {
      memory ??= this.#memory(charge)
      return memory
    }
    return {
      get memory() {
        return take()
      },
      discard: () => giveBack(false),
      [Symbol.dispose]: () => giveBack(true),
    }
  }

  #memory(charge: number): Uint8Array {
    const reused = charge === this.#partBytes ? this.#idle.pop() : undefined
    if (reused !== undefined) return reused
    while (this.#idle.length > 0 && this.#used + this.#idle.length * this.#partBytes > this.limitBytes)
      this.#idle.pop()
    // Not from Node's shared pool, of which a small piece would keep a whole slab alive.
    return Buffer.allocUnsafeSlow(charge)
  }

  #takeBack(charge: number): void {
    this.#used -= charge
    this.#serve()
    // A process that nobody pushes to keeps only what the next upload will need.
    if (this.#used === 0) this.#idle = this.#idle.slice(0, 2)
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#used + next.bytes > this.limitBytes) return
      this.#waiting.shift()
      next.resolve(this.#lend(next.bytes))
    }
  }
}
