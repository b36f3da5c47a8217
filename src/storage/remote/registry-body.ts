import { Readable } from 'node:stream'

/** How a blob has to come. */
export interface BodyWatch {
  /** Told of the bytes as they come. */
  readonly onBytes: (count: number) => void
  /** On average over a window in which all the time more was wanted. */
  readonly minBytesPerSecond: number
  readonly windowMs: number
}

/**
 * The body of an answer, whose failures are those of the registry: `convert` makes them so. Destroying it gives up the
 * answer and its connection.
 */
export class RegistryBody extends Readable {
  readonly #body: Readable
  readonly #convert: (error: unknown) => Error
  readonly #watching: NodeJS.Timeout | undefined
  #received = 0
  /** Whether nothing was wanted at some time of the window. */
  #wasPaused = true

  constructor(body: Readable, convert: (error: unknown) => Error, watch?: BodyWatch) {
    super()
    this.#body = body
    this.#convert = convert
    if (watch !== undefined) this.#watching = this.#watchPace(watch)
    body.on('data', (chunk: Buffer) => {
      watch?.onBytes(chunk.length)
      this.#received += chunk.length
      if (!this.push(chunk)) this.#pause()
    })
    body.on('end', () => this.push(null))
    body.on('error', error => this.destroy(convert(error)))
    body.on('close', () => this.#closed())
    this.#pause()
  }

  override _read(): void {
    this.#body.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearInterval(this.#watching)
    this.#body.destroy()
    callback(error)
  }

  #pause(): void {
    this.#wasPaused = true
    this.#body.pause()
  }

  #closed(): void {
    if (!this.#body.readableEnded && !this.destroyed)
      this.destroy(this.#convert(new Error('it was closed before its end')))
  }

  /** A byte before each silence is long enough to be one would keep whoever reads for ever. */
  #watchPace({ minBytesPerSecond, windowMs }: BodyWatch): NodeJS.Timeout {
    const enough = (minBytesPerSecond * windowMs) / 1000
    return setInterval(() => {
      const isSlow = !this.#wasPaused && this.#received < enough
      this.#received = 0
      this.#wasPaused = this.#body.isPaused()
      if (isSlow) this.destroy(this.#convert(new Error(`less than ${minBytesPerSecond} bytes a second came`)))
    }, windowMs).unref()
  }
}
