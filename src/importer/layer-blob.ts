import { Readable } from 'node:stream'
import { type Abortable, orAbort } from '../storage/abortable.ts'
import type { SpoolFile } from '../storage/spool/spool-file.ts'

export interface LayerBlobParts {
  /** Where the blob is or will be, when it was downloaded ahead. Owned from here on. */
  readonly file?: SpoolFile | undefined
  /** Resolves when the layer's turn has come. */
  readonly turn: Promise<void>
  /** The blob from its beginning, straight from where it comes from. */
  readonly open: (options: Abortable) => Promise<Readable>
}

/**
 * A layer's blob: from the spool, while it grows there, or straight from its source. It is opened when it is read, so
 * that no connection waits for a reader.
 *
 * When the file breaks, it waits for the layer's turn, and goes on straight from the source where the file has ended:
 * once, so what fails then is the failure of the layer. That both are the same bytes is for whoever verifies the digest.
 */
export class LayerBlob extends Readable {
  readonly #parts: LayerBlobParts
  readonly #stop = new AbortController()
  readonly #chunks: AsyncGenerator<Uint8Array, void>
  #straight: Readable | undefined

  constructor(parts: LayerBlobParts) {
    super()
    this.#parts = parts
    this.#chunks = this.#read()
    // It may fail before anybody listens, and an error that nobody hears ends the process.
    this.on('error', () => {})
  }

  override _read(): void {
    this.#chunks.next().then(
      ({ value, done }) => this.push(done === true ? null : value),
      (error: Error) => this.destroy(error),
    )
  }

  /** Also after the end. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop.abort()
    this.#straight?.destroy()
    // Ends the generator wherever it is; its own failure is that of an abort.
    this.#chunks.return().catch(() => {})
    void this.#release(error, callback)
  }

  async #release(error: Error | null, done: (error?: Error | null) => void): Promise<void> {
    let failure = error
    try {
      await this.#parts.file?.break()
    } catch (closing) {
      failure ??= closing as Error
    }
    done(failure)
  }

  async *#read(): AsyncGenerator<Uint8Array, void> {
    const { file } = this.#parts
    let given = 0
    if (file !== undefined) {
      for (let chunk = await file.read(0); chunk !== undefined; chunk = await file.read(given)) {
        given += chunk.length
        yield chunk
      }
      if (file.complete) return
    }
    yield* this.#goOn(given)
  }

  async *#goOn(given: number): AsyncGenerator<Uint8Array, void> {
    const { turn, open } = this.#parts
    const { signal } = this.#stop
    await orAbort(turn, signal)
    this.#straight = await open({ signal })
    let left = given
    for await (const chunk of this.#straight as AsyncIterable<Buffer>) {
      const skipped = Math.min(left, chunk.length)
      left -= skipped
      if (skipped < chunk.length) yield chunk.subarray(skipped)
    }
  }
}
