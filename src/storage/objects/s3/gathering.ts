import { releaseMemory } from '../../streams/release-memory.ts'
import type { SpareBuffers } from '../spare-buffers.ts'

interface Over {
  readonly piece: Buffer
  /** Bytes of it that have been copied. */
  readonly copied: number
}

/**
 * Bytes that come in small pieces, gathered for somebody who takes large ones: while he uses one, the next one fills.
 * What is put is copied and its memory given back, at once unless there is no room.
 */
export class Gathering implements Disposable {
  readonly #spare: SpareBuffers
  /** The one that fills, and the one that was taken last. */
  #memories: [filling: Buffer, taken: Buffer]
  #filled = 0
  /** What did not fit any more, in order. */
  #over: Over[] = []
  #hasEnded = false
  #failure: { readonly error: unknown } | undefined
  #changed: PromiseWithResolvers<void> | undefined
  #isTelling = false

  constructor(spare: SpareBuffers) {
    this.#spare = spare
    this.#memories = [spare.take(), spare.take()]
  }

  /** Whether whoever puts may go on. */
  get hasRoom(): boolean {
    return this.#over.length === 0 && this.#filled < this.#memories[0].length
  }

  /** @param piece nobody else's. */
  put(piece: Buffer): void {
    if (this.#over.length > 0) this.#over.push({ piece, copied: 0 })
    else this.#fill({ piece, copied: 0 })
    if (this.#changed === undefined || this.#isTelling) return
    this.#isTelling = true
    // Not at once: more of what the socket has comes in the same turn of the event loop.
    setImmediate(() => {
      this.#isTelling = false
      this.#changed?.resolve()
    })
  }

  end(): void {
    this.#hasEnded = true
    this.#changed?.resolve()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#changed?.resolve()
  }

  /**
   * Everything there is, when there is something; undefined after the last byte. The bytes stay as they are until the
   * next call. One call at a time. @throws what {@link fail} was called with, even when there are bytes.
   */
  async take(): Promise<Buffer | undefined> {
    while (this.#filled === 0 && !this.#hasEnded && this.#failure === undefined) {
      this.#changed = Promise.withResolvers()
      await this.#changed.promise
      this.#changed = undefined
    }
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#filled === 0) return undefined
    const [full, free] = this.#memories
    const bytes = full.subarray(0, this.#filled)
    this.#memories = [free, full]
    this.#filled = 0
    for (const over of this.#over.splice(0)) this.#fill(over)
    return bytes
  }

  /** Nobody may use the bytes that were taken last any more, nor put others. */
  [Symbol.dispose](): void {
    for (const memory of this.#memories) this.#spare.giveBack(memory)
  }

  #fill({ piece, copied }: Over): void {
    const more = piece.copy(this.#memories[0], this.#filled, copied)
    this.#filled += more
    if (copied + more < piece.length) this.#over.push({ piece, copied: copied + more })
    else releaseMemory(piece)
  }
}
