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

/** Why so many bytes are too many; null when they are not. */
export function excess(expected: VerifyOptions, bytes: number): DomainError | null {
  const { size } = expected
  return size !== undefined && bytes > size
    ? mismatch(expected, 'size_mismatch', `has more than the ${size} bytes that were promised`)
    : null
}

/** Why so many bytes are too few, when no more come; null when they are not. */
export function shortage(expected: VerifyOptions, bytes: number): DomainError | null {
  const { size } = expected
  return size !== undefined && bytes < size
    ? mismatch(expected, 'size_mismatch', `has ${bytes} bytes where ${size} were promised`)
    : null
}

/** Why bytes of this digest are not the promised ones; null when they are. */
export function difference(expected: VerifyOptions, actual: Digest): DomainError | null {
  return actual === expected.digest
    ? null
    : mismatch(expected, 'digest_mismatch', `has the digest ${actual} where ${expected.digest} was promised`)
}

function mismatch(
  { digest, what: { resource, name = digest }, asFailure }: VerifyOptions,
  code: 'digest_mismatch' | 'size_mismatch',
  how: string,
): DomainError {
  const error = new DomainError(code, `The ${resource} ${name} ${how}.`, { resource, name })
  return asFailure?.(error) ?? error
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
    const tooMany = excess(this.#expected, this.#bytes)
    if (tooMany !== null) return tooMany
    this.#digester.update(chunk)
    return this.#bytes === this.#expected.size ? this.#verdict() : null
  }

  /** No more bytes come. @returns why all of them may not be used. */
  end(): DomainError | null {
    return this.#isVerified ? null : this.#verdict()
  }

  #verdict(): DomainError | null {
    const failure =
      shortage(this.#expected, this.#bytes) ?? difference(this.#expected, this.#digester.digest())
    this.#isVerified = failure === null
    return failure
  }
}
