import { timingSafeEqual } from 'node:crypto'
import { open } from 'node:fs/promises'
import { DomainError, isDomainError } from '../../../errors.ts'
import { digestOf } from '../../../storage/digest.ts'
import { refuseOpenToOthers } from '../../../tls/secret-mode.ts'

/** RFC 6750, 2.1 (b64token). */
const tokenPattern = /^[A-Za-z0-9._~+/-]+=*$/
/** Characters: what `openssl rand -base64 24` makes has 32, and nobody guesses 16. */
const minLength = 16
/** Bytes: room for a few hundred tokens. */
const maxFileBytes = 64 * 1024

/**
 * The tokens that clients may have, one a line, so that a new one can be given out before the old one is taken away.
 * Empty lines and those that begin with `#` say nothing. The file is asked anew for every request, so that a token that
 * is taken away is good for nothing from then on; while it cannot be read, none is good.
 */
export class TokenFile {
  readonly #path: string
  #version = ''
  #digests: readonly Buffer[] = []

  private constructor(path: string) {
    this.#path = path
  }

  /** @throws DomainError `invalid` when the file cannot be read, is open to others, or holds no token. */
  static async open(path: string): Promise<TokenFile> {
    const tokens = new TokenFile(path)
    await tokens.#refresh()
    return tokens
  }

  /** Takes the same time for each token that is none. @throws DomainError `invalid` while the file is of no use. */
  async accepts(token: string): Promise<boolean> {
    const digests = await this.#refresh()
    const digest = digestIn(token)
    let found = false
    // All of them, whether one has fitted or not.
    for (const known of digests) found = timingSafeEqual(known, digest) || found
    return found
  }

  async #refresh(): Promise<readonly Buffer[]> {
    try {
      await using file = await open(this.#path)
      const { mode, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true })
      refuseOpenToOthers(this.#path, Number(mode))
      const version = [ino, size, mtimeNs, ctimeNs].join(' ')
      if (version === this.#version) return this.#digests
      if (size > maxFileBytes) throw this.#invalid(`it has more than ${maxFileBytes} bytes`)
      const digests = this.#tokensIn(await file.readFile('utf8')).map(digestIn)
      this.#digests = digests
      this.#version = version
      return digests
    } catch (error) {
      this.#version = ''
      throw isDomainError(error) ? error : this.#invalid('it cannot be read', error)
    }
  }

  #tokensIn(text: string): string[] {
    const lines = text.split('\n').map(line => line.trim())
    const tokens = lines.filter(line => line !== '' && !line.startsWith('#'))
    if (tokens.length === 0) throw this.#invalid('there is no token in it')
    const index = lines.findIndex(
      line => tokens.includes(line) && (line.length < minLength || !tokenPattern.test(line)),
    )
    if (index >= 0)
      throw this.#invalid(
        `line ${index + 1} is no token of at least ${minLength} characters, such as openssl rand -hex 24 makes`,
      )
    return tokens
  }

  #invalid(why: string, cause?: unknown): DomainError {
    return new DomainError(
      'invalid',
      `The file of tokens ${this.#path} cannot be used: ${why}.`,
      { resource: 'config', name: this.#path },
      { cause },
    )
  }
}

/** All of one length, which is what comparing in constant time takes. */
function digestIn(token: string): Buffer {
  return Buffer.from(digestOf(Buffer.from(token)))
}
