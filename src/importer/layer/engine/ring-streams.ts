import { Readable, Writable } from 'node:stream'
import { freeOutput } from '../decode/decompressor.ts'
import type { SharedRing } from './shared-ring.ts'

/** Asking for it costs nothing next to using it, and a stop is seen before the next one. */
const maxViewBytes = 512 * 1024

/**
 * The writing side of a ring. The ring ends when this has ended, and is stopped when this fails or is destroyed, so the
 * reader comes to the end only if whatever is piped in here has. The memory of chunks is taken for good: {@link freeOutput}.
 */
export class RingWritable extends Writable {
  readonly #ring: SharedRing

  constructor(ring: SharedRing) {
    super()
    this.#ring = ring
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, settle: (error?: Error | null) => void): void {
    this.#copyIn(chunk).then(() => settle(), settle)
  }

  async #copyIn(chunk: Buffer): Promise<void> {
    await this.#ring.write(chunk)
    freeOutput(chunk)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#ring.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.writableFinished) this.#ring.stop()
    this.#ring.leave()
    done(error)
  }
}

/**
 * The reading side of a ring.
 *
 * `for await` gets views of the ring's memory, each valid until it asks for the next one; whoever reads it in another way
 * gets copies.
 */
export class RingReadable extends Readable {
  readonly #ring: SharedRing
  readonly #viewBytes: number

  constructor(ring: SharedRing) {
    super()
    this.#ring = ring
    this.#viewBytes = Math.min(maxViewBytes, ring.capacity / 4)
  }

  override async *[Symbol.asyncIterator](): AsyncGenerator<Buffer<SharedArrayBuffer>, undefined, undefined> {
    try {
      for (;;) {
        const view = await this.#ring.take(this.#viewBytes)
        if (view === undefined) return
        yield view
        this.#ring.release(view.length)
      }
    } finally {
      this.destroy()
    }
  }

  override _read(): void {
    this.#copyOne().then(
      chunk => this.push(chunk),
      (error: Error) => this.destroy(error),
    )
  }

  /** What it reads ahead may still be waiting, and must not take the first bytes of whatever is next in the ring's memory. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#ring.leave()
    done(error)
  }

  async #copyOne(): Promise<Buffer | null> {
    const view = await this.#ring.take(this.#viewBytes)
    if (view === undefined) return null
    const copy = Buffer.from(view)
    this.#ring.release(view.length)
    return copy
  }
}
