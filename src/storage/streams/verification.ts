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
 * Whether bytes that come one after the other are the promised ones. `size_mismatch` as soon as more than `size` bytes
 * came, or when fewer did; `digest_mismatch` after the last byte.
 */
export class Verification {
  readonly #expected: VerifyOptions
  readonly #digester: Digester
  #bytes = 0
  #isVerified = false

  constructor(expected: VerifyOptions) {
    this.#expected = expected
    this.#digester = createDigester(algorithmOf(expected.digest))
  }

  /** Bytes that came so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes the next bytes into account. @returns why they may not be used: that of the last ones is the verdict on all. */
  update(chunk: Uint8Array): DomainError | null {
    this.#bytes += chunk.length
    const { size } = this.#expected
    if (size !== undefined && this.#bytes > size)
      return this.#failure('size_mismatch', `has more than the ${size} bytes that were promised`)
    this.#digester.update(chunk)
    return this.#bytes === size ? this.#verdict() : null
  }

  /** No more bytes come. @returns why all of them may not be used. */
  end(): DomainError | null {
    return this.#isVerified ? null : this.#verdict()
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
