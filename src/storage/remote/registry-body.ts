import { Readable } from 'node:stream'

/**
 * The body of an answer, whose failures are those of the registry: `convert` makes them so. Destroying it gives up the
 * answer and its connection.
 */
export class RegistryBody extends Readable {
  readonly #body: Readable
  readonly #convert: (error: unknown) => Error

  /** @param onBytes told of the bytes as they come. */
  constructor(body: Readable, convert: (error: unknown) => Error, onBytes?: (count: number) => void) {
    super()
    this.#body = body
    this.#convert = convert
    body.on('data', (chunk: Buffer) => {
      onBytes?.(chunk.length)
      if (!this.push(chunk)) body.pause()
    })
    body.on('end', () => this.push(null))
    body.on('error', error => this.destroy(convert(error)))
    body.on('close', () => this.#closed())
    body.pause()
  }

  override _read(): void {
    this.#body.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#body.destroy()
    callback(error)
  }

  #closed(): void {
    if (!this.#body.readableEnded && !this.destroyed)
      this.destroy(this.#convert(new Error('it was closed before its end')))
  }
}
