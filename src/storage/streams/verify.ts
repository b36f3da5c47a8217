import { Transform, type TransformCallback } from 'node:stream'
import { DomainError, type ErrorDetails } from '../../errors.ts'
import { algorithmOf, createDigester, type Digest, type Digester } from '../digest.ts'

export interface VerifyOptions {
  readonly digest: Digest
  /** Bytes; unchecked when the sender did not say. */
  readonly size?: number | undefined
  /** What the bytes are, for errors. */
  readonly what: Pick<ErrorDetails, 'resource' | 'name'>
  /** What the reader is told in place of a mismatch. */
  readonly asFailure?: ((mismatch: DomainError) => DomainError) | undefined
}

/**
 * Passes bytes on and ends only if they are the promised ones, so whoever sees its end may trust them. When the size is
 * known, the chunk with the last byte comes only then, too.
 *
 * Errors with DomainError `size_mismatch` as soon as more than `size` bytes came or when fewer did, and
 * `digest_mismatch` after the last byte.
 */
export class VerifyStream extends Transform {
  readonly #expected: VerifyOptions
  readonly #digester: Digester
  #bytes = 0
  #isVerified = false

  constructor(expected: VerifyOptions) {
    super()
    this.#expected = expected
    this.#digester = createDigester(algorithmOf(expected.digest))
  }

  /** Bytes that came so far. */
  get bytes(): number {
    return this.#bytes
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    this.#bytes += chunk.length
    const { size } = this.#expected
    if (size !== undefined && this.#bytes > size) {
      callback(this.#failure('size_mismatch', `has more than the ${size} bytes that were promised`))
      return
    }
    this.#digester.update(chunk)
    const mismatch = this.#bytes === size ? this.#verdict() : null
    if (mismatch === null) callback(null, chunk)
    else callback(mismatch)
  }

  override _flush(callback: TransformCallback): void {
    callback(this.#isVerified ? null : this.#verdict())
  }

  #verdict(): DomainError | null {
    const { digest, size } = this.#expected
    if (size !== undefined && this.#bytes !== size)
      return this.#failure('size_mismatch', `has ${this.#bytes} bytes where ${size} were promised`)
    const actual = this.#digester.digest()
    this.#isVerified = actual === digest
    return this.#isVerified
      ? null
      : this.#failure('digest_mismatch', `has the digest ${actual} where ${digest} was promised`)
  }

  #failure(code: 'digest_mismatch' | 'size_mismatch', what: string): DomainError {
    const { resource, name } = this.#expected.what
    const mismatch = new DomainError(code, `The ${resource} ${name ?? this.#expected.digest} ${what}.`, {
      resource,
      name: name ?? this.#expected.digest,
    })
    return this.#expected.asFailure?.(mismatch) ?? mismatch
  }
}
