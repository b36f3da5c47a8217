import { hash, randomBytes } from 'node:crypto'

/**
 * What stands for secrets in memory, so that what is known of them can be found again by them: nobody can get a secret
 * from it, not even by guessing.
 */
export class HiddenTexts {
  /** Of this process, and never written anywhere. */
  readonly #secret = randomBytes(32).toString('base64')

  /** The same for the same text, another for another one. */
  of(text: string): string {
    // Nobody is shown a digest, so nobody can lengthen what it is of: an HMAC would cost ten times as much.
    return hash('sha256', this.#secret + text, 'base64')
  }
}
