import { Readable } from 'node:stream'
import type { ByteRange } from '../../../storage/objects/object-store.ts'
import { SpareBuffers } from '../../../storage/objects/spare-buffers.ts'
import { abortWith } from '../../../storage/streams/abort-with.ts'
import type { ByteSink, DirectReadable } from '../../../storage/streams/direct.ts'
import type { GrowingReader } from './growing-reader.ts'

/** Bytes that are read from the disk at once. */
const chunkBytes = 256 * 1024
const spare = new SpareBuffers(chunkBytes, 16)

/** Opens what the growing copy has given up, where it is by now. The stream is read or destroyed here. */
export type GoOn = (range: ByteRange, signal: AbortSignal) => Promise<Readable>

/**
 * A range of a blob that grows, as it comes, but for its last byte, which comes when the whole blob has turned out to be
 * right: nobody is sent all of a range that is wrong. What the growing copy does not have any more is read from where it
 * is stored by then.
 */
export class GrowingStream extends Readable implements DirectReadable {
  readonly #reader: GrowingReader
  readonly #last: number
  readonly #goOn: GoOn
  readonly #stop = new AbortController()
  #chunks: AsyncGenerator<Uint8Array, void> | undefined

  /** @param reader stands at the first byte. Owned from here on. @param last position of the last byte. */
  constructor(reader: GrowingReader, last: number, goOn: GoOn) {
    super({ highWaterMark: chunkBytes })
    this.#reader = reader
    this.#last = last
    this.#goOn = goOn
    // It may fail before anybody listens, and an error that nobody hears ends the process.
    this.on('error', () => {})
  }

  async copyTo(sink: ByteSink): Promise<void> {
    let buffer: Buffer | undefined
    this.#chunks = this.#read(() => (buffer ??= spare.take()))
    try {
      for await (const chunk of this.#chunks) await sink(chunk)
      // Destroyed between two chunks, the generator only ends.
      if (this.destroyed) throw this.errored ?? new DOMException('the stream was destroyed', 'AbortError')
    } finally {
      this.destroy()
      // Nobody reads into it any more: the generator has ended.
      if (buffer !== undefined) spare.giveBack(buffer)
    }
  }

  override _read(): void {
    this.#chunks ??= this.#read(() => Buffer.allocUnsafeSlow(chunkBytes))
    this.#chunks.next().then(
      ({ value, done }) => this.push(done === true ? null : value),
      (error: Error) => this.destroy(error),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop.abort(error ?? new DOMException('the stream was destroyed', 'AbortError'))
    this.#reader[Symbol.dispose]()
    // Closes what it may be reading; its own failure is that of the abort.
    this.#chunks?.return().catch(() => {})
    callback(error)
  }

  async *#read(memory: () => Buffer): AsyncGenerator<Uint8Array, void> {
    const { signal } = this.#stop
    const begun = this.#reader.position
    while (this.#reader.position <= this.#last) {
      const first = this.#reader.position
      const chunk = await this.#reader.next(memory, { signal })
      if (chunk === 'end') break
      if (chunk === 'gone') return yield* this.#elsewhere(first, first > begun)
      const wanted = chunk.subarray(0, this.#last + 1 - first)
      if (this.#reader.position <= this.#last || this.#reader.isConfirmed) yield wanted
      else return yield* this.#heldBack(wanted)
    }
    await this.#reader.confirmed({ signal })
  }

  /** The last bytes of a range. The very last of them is a copy: the others' memory is used again. */
  async *#heldBack(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
    const last = Buffer.from(bytes.subarray(-1))
    if (bytes.length > 1) yield bytes.subarray(0, -1)
    await this.#reader.confirmed({ signal: this.#stop.signal })
    yield last
  }

  /** @param isBegun whether some of the copy's bytes were sent, which then have to be those of what is stored. */
  async *#elsewhere(first: number, isBegun: boolean): AsyncGenerator<Uint8Array, void> {
    const { signal } = this.#stop
    // Nobody waits for it any more.
    this.#reader[Symbol.dispose]()
    const rest = await this.#goOn({ first, last: this.#last }, signal)
    const stream = abortWith(rest, signal)
    try {
      if (isBegun) await this.#reader.confirmed({ signal })
      yield* stream
    } finally {
      stream.destroy()
    }
  }
}
