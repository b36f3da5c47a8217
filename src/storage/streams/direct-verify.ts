import { pipeline } from 'node:stream'
import type { ByteSink, DirectReadable } from './direct.ts'
import { Verification, type VerifyOptions } from './verification.ts'
import { VerifyStream } from './verify.ts'

/** The bytes of a stream, verified as {@link VerifyStream} does it, and handed out without a pipe in between. */
export class DirectVerifyStream extends VerifyStream implements DirectReadable {
  readonly #source: DirectReadable
  readonly #expected: VerifyOptions
  #isPiped = false

  constructor(source: DirectReadable, expected: VerifyOptions) {
    super(expected)
    this.#source = source
    this.#expected = expected
    // It may fail, or be aborted, before anybody has begun to read. Whoever calls `copyTo` listens to nothing else.
    source.on('error', error => this.destroy(error))
    this.on('error', () => {})
  }

  async copyTo(sink: ByteSink): Promise<void> {
    const verification = new Verification(this.#expected)
    try {
      await this.#source.copyTo(async chunk => {
        throwUnless(verification.update(chunk))
        await sink(chunk)
      })
      throwUnless(verification.end())
    } finally {
      this.destroy()
    }
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
