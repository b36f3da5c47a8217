import type { Content } from '../entry.ts'
import { FramedContent } from './framed-content.ts'

/** Gets the next piece of the stream to whoever waits for it. Rejects when there is none. */
export type Advance = () => Promise<void>

const done = Object.freeze({ done: true, value: undefined })

/**
 * The content of one entry. May be read once, in part or not at all. Most files are in one piece of the stream, which
 * costs nothing; only others are waited for.
 */
export class EntryBody implements Content, AsyncIterator<Uint8Array, undefined> {
  readonly #size: number
  readonly #advance: Advance
  /** With the padding. Never more than one: the next one comes when this one has been taken. */
  #piece: Buffer | undefined
  #taken = 0
  #framed: FramedContent | undefined
  #isLeft = false

  /** @param size of all of it, in bytes. */
  constructor(size: number, advance: Advance) {
    this.#size = size
    this.#advance = advance
  }

  get whole(): Uint8Array | undefined {
    if (this.#size === 0) return new Uint8Array()
    const piece = this.#piece
    if (this.#isLeft || this.#taken > 0 || piece === undefined || piece.length < this.#size) return undefined
    return piece.subarray(0, this.#size)
  }

  /** The next piece of it has come. */
  give(piece: Buffer): void {
    if (!this.#isLeft) this.#piece = piece
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#taken === this.#size) return done
    if (this.#isLeft) throw new Error('the content of an entry is read after the next entry')
    const { whole } = this
    if (whole !== undefined) {
      this.#taken = whole.length
      return { done: false, value: whole }
    }
    while (this.#piece === undefined) await this.#advance()
    const piece = this.#piece
    this.#piece = undefined
    this.#framed ??= new FramedContent(this.#size)
    const value = await this.#framed.take(piece, Math.min(piece.length, this.#size - this.#taken))
    this.#taken += value.length
    return { done: false, value }
  }

  /** The next entry is asked for: what has not been read is skipped. */
  leave(): void {
    this.#isLeft = true
    this.#piece = undefined
    this.#framed?.close()
  }
}
