import type { DomainError } from '../../errors.ts'
import { algorithmOf } from '../digest.ts'
import type { DigestThread, ThreadDigester } from './digest-thread.ts'
import type { ByteSink } from './direct.ts'
import { difference, excess, shortage, type VerifyOptions } from './verification.ts'

/**
 * As Verification, where the digest is computed by another thread while the bytes are on their way. Bytes beyond the
 * promised size are never given on, nor are the last ones before the verdict on all.
 */
export class ThreadVerification implements Disposable {
  readonly #expected: VerifyOptions
  readonly #digester: ThreadDigester
  #bytes = 0
  #isVerified = false

  constructor(expected: VerifyOptions, thread: DigestThread) {
    this.#expected = expected
    this.#digester = thread.begin(algorithmOf(expected.digest))
  }

  /** Gives the next bytes on. Their memory is its owner's again when the promise has settled. One call at a time. */
  async pass(chunk: Uint8Array, sink: ByteSink): Promise<void> {
    this.#bytes += chunk.length
    throwIfAny(excess(this.#expected, this.#bytes))
    const digested = this.#digester.update(chunk)
    if (this.#bytes === this.#expected.size) {
      await digested
      await this.#judge()
      await sink(chunk)
    } else await bothOf(digested, sink(chunk))
  }

  /** No more bytes come. @throws DomainError: why all of them may not be used. */
  async end(): Promise<void> {
    if (!this.#isVerified) await this.#judge()
  }

  [Symbol.dispose](): void {
    this.#digester[Symbol.dispose]()
  }

  async #judge(): Promise<void> {
    throwIfAny(shortage(this.#expected, this.#bytes))
    throwIfAny(difference(this.#expected, await this.#digester.digest()))
    this.#isVerified = true
  }
}

/** Unlike `Promise.all`, not before both have settled: either of them may still use the memory. */
async function bothOf(...promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises))
    if (result.status === 'rejected') throw result.reason
}

function throwIfAny(failure: DomainError | null): void {
  if (failure !== null) throw failure
}
