import { pipeline } from 'node:stream'
import type { DigestThread } from './digest-thread.ts'
import type { ByteSink, DirectReadable } from './direct.ts'
import { ThreadVerification } from './thread-verification.ts'
import { Verification, type VerifyOptions } from './verification.ts'
import { VerifyStream } from './verify.ts'

/** The bytes of a stream, verified as {@link VerifyStream} does it, and handed out without a pipe in between. */
export class DirectVerifyStream extends VerifyStream implements DirectReadable {
  readonly #source: DirectReadable
  readonly #expected: VerifyOptions
  readonly #thread: DigestThread | undefined
  #isPiped = false

  /** @param thread where bytes that are handed out are verified; here unless given. */
  constructor(source: DirectReadable, expected: VerifyOptions, thread?: DigestThread) {
    super(expected)
    this.#source = source
    this.#expected = expected
    this.#thread = thread
    // It may fail, or be aborted, before anybody has begun to read. Whoever calls `copyTo` listens to nothing else.
    source.on('error', error => this.destroy(error))
    this.on('error', () => {})
  }

  async copyTo(sink: ByteSink): Promise<void> {
    try {
      if (this.#thread === undefined) await this.#verifyHere(sink)
      else await this.#verifyThere(sink, this.#thread)
    } finally {
      this.destroy()
    }
  }

  async #verifyHere(sink: ByteSink): Promise<void> {
    const verification = new Verification(this.#expected)
    await this.#source.copyTo(async chunk => {
      throwUnless(verification.update(chunk))
      await sink(chunk)
    })
    throwUnless(verification.end())
  }

  async #verifyThere(sink: ByteSink, thread: DigestThread): Promise<void> {
    using verification = new ThreadVerification(this.#expected, thread)
    await this.#source.copyTo(chunk => verification.pass(chunk, sink))
    await verification.end()
  }

  /** Who reads it gets it piped, from the first read on. */
  override _read(size: number): void {
    if (!this.#isPiped) {
      this.#isPiped = true
      pipeline(this.#source, this, () => {})
    }
    super._read(size)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#source.destroy(error ?? undefined)
    super._destroy(error, callback)
  }
}

function throwUnless(mismatch: Error | null): void {
  if (mismatch !== null) throw mismatch
}
