import type { Extract } from 'tar-stream'

/** tar-stream's stream of one entry's content. */
type Source = Extract extends AsyncIterable<infer Entry> ? Entry : never

/** tar-stream goes on by itself past content that is smaller than its streams' buffers. */
const skippedByItself = 16 * 1024

const done = Object.freeze({ done: true, value: undefined })

/**
 * The content of one entry. May be read once, in part or not at all; leaving it half-read is no reason to end the whole
 * archive, as it is with the source's own iterator. And most files are one chunk, which should cost little.
 */
export class EntryBody implements AsyncIterable<Uint8Array>, AsyncIterator<Uint8Array, undefined> {
  readonly #source: Source
  readonly #size: number
  #missing: number
  #isStarted = false
  #reader: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined
  #isLeft = false
  #failure: Error | undefined

  /** @param size of all of it, in bytes. */
  constructor(source: Source, size: number) {
    this.#source = source
    this.#size = size
    this.#missing = size
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#missing === 0) return Promise.resolve(done)
    if (this.#isLeft) return Promise.reject(new Error('the content of an entry is read after the next entry'))
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#reader = Promise.withResolvers()
    if (this.#isStarted) this.#source.resume()
    else {
      this.#isStarted = true
      this.#source.on('data', this.#take)
    }
    return this.#reader.promise
  }

  /** The next entry is asked for: what has not been read is skipped. */
  leave(): void {
    this.#isLeft = true
    if (this.#size >= skippedByItself) this.#source.resume()
  }

  /** No more of it will come. */
  fail(failure: Error): void {
    this.#failure = failure
    this.#reader?.reject(failure)
    this.#reader = undefined
  }

  readonly #take = (data: unknown): void => {
    // Its types do not say that it has bytes.
    const value = data as Uint8Array
    const reader = this.#reader
    if (reader === undefined) return
    this.#reader = undefined
    this.#missing -= value.length
    if (this.#missing > 0) this.#source.pause()
    reader.resolve({ done: false, value })
  }
}
