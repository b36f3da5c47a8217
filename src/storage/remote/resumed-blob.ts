import { Readable } from 'node:stream'
import { isDomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { backoffMs } from '../backoff.ts'
import { defaultSleep, type Sleep } from './traffic.ts'

export interface ResumedBlobParts {
  /** The bytes from `offset` on. */
  readonly first: Readable
  readonly offset: number
  /** Opens the same bytes again, from another offset on. */
  readonly reopen: (offset: number, options: Abortable) => Promise<Readable>
  readonly sleep?: Sleep | undefined
}

/** Times that it is opened again without anything to show for it. */
const maxFailures = 4
/** So many bytes are something to show. */
const progressBytes = 1024 * 1024
/** The longest pause; longer ones that a registry asks for are not waited for. */
const maxPauseMs = 8_000

/**
 * A blob whose connection may break: it goes on where it broke off, a few times, with growing pauses. What it fails with
 * in the end is the last failure. That all pieces are of the same bytes is for whoever verifies the digest.
 */
export class ResumedBlob extends Readable {
  readonly #reopen: ResumedBlobParts['reopen']
  readonly #sleep: Sleep
  readonly #closing = new AbortController()
  #current: Readable
  #offset: number
  #failures = 0
  /** Where the last failure was. */
  #failedAt: number

  constructor({ first, offset, reopen, sleep = defaultSleep }: ResumedBlobParts) {
    super()
    this.#reopen = reopen
    this.#sleep = sleep
    this.#offset = offset
    this.#failedAt = offset
    this.#current = first
    this.#follow(first)
    // It may fail before anybody listens.
    this.on('error', () => {})
  }

  override _read(): void {
    this.#current.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#closing.abort()
    this.#current.destroy()
    callback(error)
  }

  #follow(body: Readable): void {
    this.#current = body
    body.on('data', (chunk: Buffer) => {
      this.#offset += chunk.length
      if (!this.push(chunk)) body.pause()
    })
    body.on('end', () => this.push(null))
    body.on('error', (error: Error) => void this.#resume(error))
    body.pause()
  }

  async #resume(failure: Error): Promise<void> {
    try {
      let last: unknown = failure
      for (;;) {
        if (this.destroyed) return
        await this.#pause(last)
        try {
          const body = await this.#reopen(this.#offset, { signal: this.#closing.signal })
          if (this.destroyed) return void body.destroy()
          this.#follow(body)
          // Whoever waits for bytes has asked for them already.
          body.resume()
          return
        } catch (error) {
          last = error
        }
      }
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** @throws the failure, when it is final. */
  async #pause(failure: unknown): Promise<void> {
    if (this.#offset - this.#failedAt >= progressBytes) this.#failures = 0
    this.#failedAt = this.#offset
    this.#failures += 1
    if (!isDomainError(failure, 'unavailable', 'throttled') || this.#failures > maxFailures) throw failure
    const askedMs = (failure.details.retryAfterSeconds ?? 0) * 1000
    if (askedMs > maxPauseMs) throw failure
    await this.#sleep(backoffMs(this.#failures, maxPauseMs, askedMs) / 4, { signal: this.#closing.signal })
  }
}
