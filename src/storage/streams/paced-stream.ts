import { Readable } from 'node:stream'
import type { Abortable } from '../abortable.ts'
import { type ByteSink, type DirectReadable, isDirect } from './direct.ts'

/** Who says when bytes may pass, and whether. */
export interface Pace {
  /** Bytes that are asked for at once. */
  readonly sliceBytes: number
  /** Resolves when so many bytes more may pass. @throws what the stream is to fail with. */
  pass(bytes: number, options: Abortable): Promise<void>
}

export interface PacedStreamOptions {
  /** Whether the source goes with this stream; otherwise it is its owner's, who may want the rest of it. */
  readonly owns: boolean
}

/** The bytes of a stream, each when it may pass. Nothing is read before somebody reads. */
export class PacedStream extends Readable {
  readonly #source: Readable
  readonly #pace: Pace
  readonly #owns: boolean
  readonly #closing = new AbortController()
  #chunks: AsyncIterator<Uint8Array> | undefined
  #rest: Uint8Array = new Uint8Array()

  constructor(source: Readable, pace: Pace, { owns }: PacedStreamOptions) {
    // Nothing is read ahead: what was, and was not taken, would be lost when the source fails.
    super({ highWaterMark: 0 })
    this.#source = source
    this.#pace = pace
    this.#owns = owns
    // It may fail before anybody has begun to read, and then nobody listens here either.
    if (owns) source.on('error', this.#fail)
    this.on('error', () => {})
  }

  override _read(): void {
    this.#next().then(
      slice => {
        if (!this.destroyed) this.push(slice)
      },
      (error: unknown) => this.#fail(error),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#closing.abort()
    if (this.#owns) this.#source.destroy(error ?? undefined)
    // Its listeners on the source go; one that waits for bytes ends with the source.
    void this.#chunks?.return?.().catch(() => {})
    callback(error)
  }

  async #next(): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      this.#chunks ??= this.#source.iterator({ destroyOnReturn: false }) as AsyncIterator<Uint8Array>
      const { done, value } = await this.#chunks.next()
      if (done === true) return null
      this.#rest = value
    }
    const slice = this.#rest.subarray(0, this.#pace.sliceBytes)
    this.#rest = this.#rest.subarray(slice.length)
    await this.#pace.pass(slice.length, { signal: this.#closing.signal })
    return slice
  }

  /** Gives the chunk on in slices, each when it may pass. */
  protected async passTo(sink: ByteSink, chunk: Uint8Array): Promise<void> {
    for (let start = 0; start < chunk.length; ) {
      const slice = chunk.subarray(start, start + this.#pace.sliceBytes)
      await this.#pace.pass(slice.length, { signal: this.#closing.signal })
      await sink(slice)
      start += slice.length
    }
  }

  readonly #fail = (error: unknown): void => {
    this.destroy(
      error instanceof Error ? error : new Error('the source of a stream failed', { cause: error }),
    )
  }
}

/** As {@link PacedStream}, of a source that it owns and that hands its bytes out. */
class PacedDirectStream extends PacedStream implements DirectReadable {
  readonly #source: DirectReadable

  constructor(source: DirectReadable, pace: Pace) {
    super(source, pace, { owns: true })
    this.#source = source
  }

  async copyTo(sink: ByteSink): Promise<void> {
    try {
      await this.#source.copyTo(chunk => this.passTo(sink, chunk))
    } finally {
      this.destroy()
    }
  }
}

/** A stream that is to be sent, at a pace; it goes with what is answered. */
export function paced(stream: Readable, pace: Pace): Readable {
  return isDirect(stream)
    ? new PacedDirectStream(stream, pace)
    : new PacedStream(stream, pace, { owns: true })
}
