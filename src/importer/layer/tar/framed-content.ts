import { extract, type Header } from 'tar-stream'
import { plainHeader } from './plain-header.ts'

/**
 * The content of one file that comes in several pieces, taken out of them by tar-stream. The header that it reads is
 * not the layer's but a plain one, so its reading of names, numbers and PAX headers decides nothing; but where the content
 * ends it must find as well.
 *
 * One piece at a time: the next one is given only when this one's content has been taken, so pieces may be memory that is
 * used again.
 */
export class FramedContent {
  readonly #extractor = extract()
  readonly #size: number
  #reader: PromiseWithResolvers<Uint8Array> | undefined
  #bug: Error | undefined

  /** @param size of all of it, in bytes. */
  constructor(size: number) {
    this.#size = size
    this.#extractor.on('entry', (header, source) => {
      this.#check(header)
      source.on('data', (bytes: unknown) => {
        // Its types do not say that it has bytes.
        this.#reader?.resolve(bytes as Uint8Array)
      })
      source.on('error', () => {})
    })
    this.#extractor.on('error', error => {
      this.#fail(error)
    })
    this.#extractor.write(plainHeader(size))
  }

  /**
   * What of a piece is content.
   * @param expected bytes of it that are, at least one; padding may follow.
   * @throws Error when tar-stream finds something else: a bug.
   */
  async take(piece: Uint8Array, expected: number): Promise<Uint8Array> {
    this.#reader = Promise.withResolvers()
    this.#extractor.write(piece)
    if (this.#bug !== undefined) this.#reader.reject(this.#bug)
    const bytes = await this.#reader.promise
    if (bytes.length !== expected)
      throw new Error(`tar-stream reads ${bytes.length} bytes of content where there are ${expected}`)
    return bytes
  }

  /** Nothing more is taken. */
  close(): void {
    this.#extractor.destroy()
  }

  #check({ type, size }: Header): void {
    if (type !== 'file' || size !== this.#size)
      this.#fail(
        new Error(
          `tar-stream reads a ${type} of ${size} bytes where a file of ${this.#size} bytes was written`,
        ),
      )
  }

  #fail(bug: Error): void {
    this.#bug ??= bug
    this.#reader?.reject(this.#bug)
  }
}
