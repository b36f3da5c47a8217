import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ByteSink, DirectReadable } from '../../streams/direct.ts'
import { SpareBuffers } from '../spare-buffers.ts'
import { Gathering } from './gathering.ts'

/** Opens the bytes from here to the end of what was asked for. */
export type OpenFrom = (position: number, signal: AbortSignal) => Promise<Readable>

export interface ResumingStreamOptions {
  /** Where `body` begins, and one past where it must end. */
  readonly start: number
  readonly end: number
  readonly reopen: OpenFrom
  /** Milliseconds that a byte may take that somebody waits for. */
  readonly idleTimeoutMs: number
  /** How often in a row it may break, having brought next to nothing. */
  readonly maxBreaks: number
  /** Turns what has broken a body into what the reader is told. */
  readonly convert: (error: unknown) => unknown
}

/** A body that brought so many bytes before it broke was worth opening. */
const progressBytes = 64 * 1024

/** Milliseconds, doubled with each break. */
const firstPause = 50

/** As large as is of use to the thread of digests: measured, 1.0 GB/s in pieces of 64 KiB, 1.7 in these, and no more in larger ones. */
const directChunkBytes = 512 * 1024
const spare = new SpareBuffers(directChunkBytes, 32)

/**
 * The bytes of an object that never change, over as many connections as it takes: where one breaks, falls silent or
 * ends early, the next one goes on. It ends after its last byte and nowhere else.
 *
 * A connection that breaks while the reader is at something else is replaced when the reader comes back.
 *
 * The chunks of its bodies must be nobody else's: `copyTo` gives their memory back.
 */
export class ResumingStream extends Readable implements DirectReadable {
  readonly #options: ResumingStreamOptions
  readonly #destroyed = new AbortController()
  #position: number
  /** Bytes before this one were there at the last break. */
  #progressFrom: number
  #breaks = 0
  #body: Readable | undefined
  #isWanted = false
  #isOpening = false
  #hasEnded = false
  #silence: NodeJS.Timeout | undefined
  /** Where bytes go that are handed out. */
  #gathering: Gathering | undefined

  constructor(body: Readable, options: ResumingStreamOptions) {
    super({ highWaterMark: 256 * 1024 })
    this.#options = options
    this.#position = options.start
    this.#progressFrom = options.start
    this.#attach(body)
  }

  async copyTo(sink: ByteSink): Promise<void> {
    // Whoever calls this hears of a failure by the promise.
    this.on('error', () => {})
    if (this.destroyed) throw this.errored ?? destroyed()
    using gathering = new Gathering(spare)
    try {
      const first: Buffer | null = this.read()
      this.#gathering = gathering
      if (first !== null) gathering.put(first)
      if (this.#hasEnded) gathering.end()
      for (;;) {
        this.#askForMore(gathering)
        const bytes = await gathering.take()
        if (bytes === undefined) break
        this.#askForMore(gathering)
        await sink(bytes)
      }
    } finally {
      this.destroy()
    }
  }

  override _read(): void {
    if (this.#gathering === undefined) this.#want()
  }

  #askForMore(gathering: Gathering): void {
    if (!this.#hasEnded && !this.destroyed && gathering.hasRoom) this.#want()
  }

  #want(): void {
    this.#isWanted = true
    this.#listenForSilence()
    if (this.#body !== undefined) this.#body.resume()
    else this.#open()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#silence)
    this.#destroyed.abort()
    this.#drop()
    this.#gathering?.fail(error ?? destroyed())
    callback(error)
  }

  #attach(body: Readable): void {
    this.#body = body
    body.on('data', (chunk: Buffer) => this.#take(body, chunk))
    body.on('end', () => this.#ended(body))
    body.on('error', error => this.#broken(body, error))
    body.on('close', () => this.#broken(body, new Error('the connection was closed')))
    if (this.#isWanted) body.resume()
    else body.pause()
  }

  #take(body: Readable, chunk: Buffer): void {
    if (body !== this.#body) return
    this.#position += chunk.length
    if (this.#position > this.#options.end) {
      this.#fail(new Error('more bytes came than were announced'))
      return
    }
    this.#isWanted = this.#give(chunk)
    if (this.#isWanted) this.#silence?.refresh()
    else {
      clearTimeout(this.#silence)
      body.pause()
    }
  }

  /** Whether more is wanted. */
  #give(chunk: Buffer): boolean {
    if (this.#gathering === undefined) return this.push(chunk)
    this.#gathering.put(chunk)
    return this.#gathering.hasRoom
  }

  #ended(body: Readable): void {
    if (body !== this.#body) return
    if (this.#position === this.#options.end) {
      clearTimeout(this.#silence)
      this.#body = undefined
      this.#hasEnded = true
      if (this.#gathering === undefined) this.push(null)
      else this.#gathering.end()
    } else this.#broken(body, new Error('fewer bytes came than were announced'))
  }

  #broken(body: Readable, error: Error): void {
    if (body !== this.#body) return
    this.#drop()
    clearTimeout(this.#silence)
    if (this.#position - this.#progressFrom >= progressBytes) this.#breaks = 0
    this.#progressFrom = this.#position
    this.#breaks += 1
    if (this.#breaks >= this.#options.maxBreaks) this.#fail(error)
    else if (this.#isWanted) this.#open()
  }

  /** Lets go of the body, whose connection is of no more use. */
  #drop(): void {
    const body = this.#body
    this.#body = undefined
    // It may still have something to complain about.
    body?.on('error', () => {})
    body?.destroy()
  }

  #open(): void {
    if (this.#isOpening || this.destroyed) return
    this.#isOpening = true
    this.#nextBody().then(
      body => {
        this.#isOpening = false
        if (this.destroyed) body.on('error', () => {}).destroy()
        else this.#attach(body)
        this.#listenForSilence()
      },
      (error: unknown) => {
        this.#isOpening = false
        this.#fail(error)
      },
    )
  }

  async #nextBody(): Promise<Readable> {
    const { signal } = this.#destroyed
    const pause = this.#breaks > 1 ? firstPause * 2 ** this.#breaks * Math.random() : 0
    await sleep(pause, undefined, { signal })
    return await this.#options.reopen(this.#position, signal)
  }

  #listenForSilence(): void {
    clearTimeout(this.#silence)
    const body = this.#body
    if (body === undefined || this.destroyed || !this.#isWanted) return
    this.#silence = setTimeout(
      () => this.#broken(body, Object.assign(new Error('no byte came'), { name: 'TimeoutError' })),
      this.#options.idleTimeoutMs,
    )
  }

  #fail(error: unknown): void {
    if (this.destroyed) return
    const converted = this.#options.convert(error)
    this.destroy(converted instanceof Error ? converted : new Error(String(converted)))
  }
}

function destroyed(): DOMException {
  return new DOMException('the stream was destroyed', 'AbortError')
}
