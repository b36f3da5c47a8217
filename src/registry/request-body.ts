import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

export interface RequestBodyOptions {
  /** Called once, before the first byte is asked for. */
  readonly onFirstRead?: (() => void) | undefined
}

/**
 * The body of a request, behind a shield: destroying an IncomingMessage destroys its connection, and with it
 * the answer. Destroying this stream only stops the reading. A connection that breaks off in the middle
 * destroys it with an AbortError.
 */
export class RequestBody extends Readable {
  readonly #source: IncomingMessage
  readonly #options: RequestBodyOptions
  #started = false
  #received = 0
  /** Whether, since the last look, there was a moment in which nobody wanted bytes. */
  #paused = false

  constructor(source: IncomingMessage, options: RequestBodyOptions = {}) {
    super()
    this.#source = source
    this.#options = options
  }

  /** Bytes read so far. */
  get received(): number {
    return this.#received
  }

  /** Whether anybody has asked for a byte. */
  get started(): boolean {
    return this.#started
  }

  /** Whether all of it has arrived, be it read or not. */
  get complete(): boolean {
    return this.#source.complete
  }

  /** Whether reading was held up on our side since this was last asked. */
  takePaused(): boolean {
    const paused = this.#paused
    this.#paused = this.#source.isPaused()
    return paused
  }

  override _read(): void {
    if (!this.#started) this.#start()
    this.#source.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
    if (!this.#source.readableEnded) this.#source.pause()
    callback(error)
  }

  #start(): void {
    this.#started = true
    if (this.#source.destroyed && !this.#source.readableEnded) {
      this.destroy(brokenOff())
      return
    }
    this.#options.onFirstRead?.()
    this.#source.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
    // A broken connection is told by 'close' as well; without a listener the 'error' would end the process.
    this.#source.on('error', ignore)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length
    if (this.push(chunk)) return
    this.#paused = true
    this.#source.pause()
  }

  readonly #onEnd = (): void => {
    this.push(null)
  }

  readonly #onClose = (): void => {
    if (!this.#source.readableEnded) this.destroy(brokenOff())
  }
}

function ignore(): void {}

/** The client's wish or misfortune, in no case a failure of ours: see isAbort. */
function brokenOff(): Error {
  const error = new Error('The connection ended before the body did.')
  error.name = 'AbortError'
  return error
}
