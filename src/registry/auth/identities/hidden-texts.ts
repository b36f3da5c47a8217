import { hash, randomBytes } from 'node:crypto'

/** Characters that are kept of a connection: an access token has 1,000. What is longer may be anything, of anybody. */
const longestKept = 4096

interface Shown {
  readonly text: string
  readonly hidden: string
}

/**
 * What stands for secrets in memory, so that what is known of them can be found again by them: nobody can get a secret
 * from it, not even by guessing.
 */
export class HiddenTexts {
  /** Of this process, and never written anywhere. */
  readonly #secret = randomBytes(32).toString('base64')
  readonly #shown = new WeakMap<object, Shown>()

  /**
   * The same for the same text, another for another one.
   * @param connection by which the text has come. A client shows the same with each request, and to hash it each time
   * costs a twentieth of a small one, so as long as the connection is open the last text that came by it is kept as it is.
   */
  of(text: string, connection?: object): string {
    const known = connection && this.#shown.get(connection)
    if (known?.text === text) return known.hidden
    // Nobody is shown a digest, so nobody can lengthen what it is of: an HMAC would cost ten times as much.
    const hidden = hash('sha256', this.#secret + text, 'base64')
    if (connection !== undefined && text.length <= longestKept) this.#shown.set(connection, { text, hidden })
    return hidden
  }
}
