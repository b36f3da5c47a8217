import { Transform, type TransformCallback } from 'node:stream'
import type { BlobInfo } from '../blobs/blob-store.ts'
import { Verification } from '../streams/verification.ts'

/**
 * A blob that is sent in several pieces, of which the next may begin before the end of the last: what the registry did not
 * keep is sent again. Each byte is hashed once, and the last one is let through only when all of them are the promised
 * ones.
 */
export class SentBytes {
  readonly #verification: Verification
  #hashed = 0

  /** @param where it is sent, for errors. */
  constructor({ digest, size }: BlobInfo, where: string) {
    const what = { resource: 'blob', name: `${digest} for ${where}` } as const
    this.#verification = new Verification({ digest, size, what })
  }

  /** Bytes that were hashed. A piece begins at most here. */
  get hashed(): number {
    return this.#hashed
  }

  /** @returns why the bytes from `at` on may not be sent. */
  take(at: number, chunk: Uint8Array): Error | null {
    const known = Math.min(Math.max(this.#hashed - at, 0), chunk.length)
    if (known === chunk.length) return null
    this.#hashed += chunk.length - known
    return this.#verification.update(chunk.subarray(known))
  }

  /** No more bytes come. */
  end(): Error | null {
    return this.#verification.end()
  }
}

export interface SentPieceOptions {
  /** Told of bytes that were handed on, and how many of the blob there are up to them. */
  readonly onPassed: (chunk: number, offset: number) => void
  /** Whether the blob ends with it. */
  readonly isLast: boolean
}

/** One piece, from an offset on. */
export class SentPiece extends Transform {
  readonly #bytes: SentBytes
  readonly #onPassed: SentPieceOptions['onPassed']
  readonly #isLast: boolean
  #offset: number
  #mismatch: Error | undefined

  constructor(bytes: SentBytes, offset: number, { onPassed, isLast }: SentPieceOptions) {
    super()
    this.#bytes = bytes
    this.#offset = offset
    this.#onPassed = onPassed
    this.#isLast = isLast
    this.on('error', () => {})
  }

  /** What is wrong with the bytes, in place of how the request that sent them has ended. */
  get mismatch(): Error | undefined {
    return this.#mismatch
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const mismatch = this.#bytes.take(this.#offset, chunk)
    this.#offset += chunk.length
    if (mismatch === null) {
      this.#onPassed(chunk.length, this.#offset)
      callback(null, chunk)
    } else {
      this.#mismatch = mismatch
      callback(mismatch)
    }
  }

  override _flush(callback: TransformCallback): void {
    const mismatch = this.#isLast ? this.#bytes.end() : null
    if (mismatch !== null) this.#mismatch = mismatch
    callback(mismatch)
  }
}
