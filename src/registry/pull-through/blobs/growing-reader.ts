import type { Abortable } from '../../../storage/abortable.ts'

/**
 * Where there is no file, nothing comes before these have read enough: `needed`, which is our own store; `only`, the one
 * client that it comes for; `patient`, one client of several, and that within the time that there is for slow ones.
 */
export type ReaderKind = 'needed' | 'only' | 'patient'

interface ReaderParts {
  readonly next: (
    from: number,
    memory: () => Buffer,
    options: Abortable,
  ) => Promise<Uint8Array | 'end' | 'gone'>
  readonly moved: () => void
  readonly isWhole: () => boolean
  readonly confirmed: (options: Abortable) => Promise<void>
  readonly left: () => void
}

/** One who reads a blob that grows. */
export class GrowingReader implements Disposable {
  readonly kind: ReaderKind
  readonly #parts: ReaderParts
  #position: number
  #hasLeft = false

  constructor(position: number, kind: ReaderKind, parts: ReaderParts) {
    this.#position = position
    this.kind = kind
    this.#parts = parts
  }

  /** Of the byte that is read next. */
  get position(): number {
    return this.#position
  }

  /** Resolves as {@link next} would, without reading. */
  async ready(options: Abortable = {}): Promise<void> {
    await this.#parts.next(this.#position, () => Buffer.alloc(1), options)
  }

  /**
   * The next bytes, as they come; shared, so they must not be changed. `end`: there are no more; `gone`: they were there,
   * and have been given up.
   * @param memory for bytes that are not in memory; called when they are read.
   * @throws what the blob has failed with.
   */
  async next(memory: () => Buffer, options: Abortable = {}): Promise<Uint8Array | 'end' | 'gone'> {
    const chunk = await this.#parts.next(this.#position, memory, options)
    if (typeof chunk === 'string') return chunk
    this.#position += chunk.length
    this.#parts.moved()
    return chunk
  }

  /** Whether the bytes that were read are known to be right. */
  get isConfirmed(): boolean {
    return this.#parts.isWhole()
  }

  /**
   * Resolves once they are, which nobody knows before all of the blob has come. It holds nothing up meanwhile; nothing can
   * be read afterwards.
   * @throws what the blob has failed with; AbortError when it ends without being whole.
   */
  async confirmed(options: Abortable = {}): Promise<void> {
    this.#position = Number.POSITIVE_INFINITY
    this.#parts.moved()
    await this.#parts.confirmed(options)
  }

  [Symbol.dispose](): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#parts.left()
  }
}
