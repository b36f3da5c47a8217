import type { CryptoKey } from 'jose'
import type { Abortable } from '../../../storage/abortable.ts'

/** What a token's header says of its key. It is not to be believed: it only chooses among keys that are known. */
export interface KeyHint {
  readonly alg: string
  readonly kid?: string | undefined
}

/** CONTRACT. The public keys of a token service. Implementations: our own, a JWKS file, a JWKS address. */
export interface VerificationKeys {
  /** Another number whenever the keys are others than they were: what was verified by them has to be verified again. */
  readonly version: number
  /**
   * Those that may have signed it; none when it is signed by nobody that is known. Keys are never taken from the token.
   * @throws DomainError `unavailable` when that cannot be known now.
   */
  find(hint: KeyHint, options?: Abortable): Promise<readonly CryptoKey[]>
}
