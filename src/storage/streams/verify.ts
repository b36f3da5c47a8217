import { Transform, type TransformCallback } from 'node:stream'
import { Verification, type VerifyOptions } from './verification.ts'

export type { VerifyOptions } from './verification.ts'

/**
 * Passes bytes on and ends only if they are the promised ones, so whoever sees its end may trust them. When the size is
 * known, the chunk with the last byte comes only then, too.
 *
 * Errors with DomainError `size_mismatch` as soon as more than `size` bytes came or when fewer did, and
 * `digest_mismatch` after the last byte.
 */
export class VerifyStream extends Transform {
  readonly #verification: Verification

  constructor(expected: VerifyOptions) {
    super()
    this.#verification = new Verification(expected)
  }

  /** Bytes that came so far. */
  get bytes(): number {
    return this.#verification.bytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const mismatch = this.#verification.update(chunk)
    if (mismatch === null) callback(null, chunk)
    else callback(mismatch)
  }

  override _flush(callback: TransformCallback): void {
    callback(this.#verification.end())
  }
}
