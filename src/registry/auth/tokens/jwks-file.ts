import { type FileHandle, open } from 'node:fs/promises'
import type { CryptoKey } from 'jose'
import { DomainError, errnoOf, isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { maxJwksBytes } from './jwks-document.ts'
import { PublicKeySet } from './public-key-set.ts'
import type { KeyHint, VerificationKeys } from './verification-keys.ts'

/** Mode bit of chmod(2): who may write the file decides who may do everything. */
const writableByOthers = 0o002

/**
 * The public keys of another token service, in a file that is looked at again whenever a token is to be verified. What
 * was good stays in use while the file is broken, which is logged once.
 */
export class JwksFile implements VerificationKeys {
  readonly #path: string
  readonly #log: Logger
  #stamp = ''
  #keys: PublicKeySet | undefined
  #isBroken = false
  #version = 0

  private constructor(path: string, log: Logger) {
    this.#path = path
    this.#log = log
  }

  /** @throws DomainError `invalid` when it cannot be read, is writable by others, or is no JWKS. */
  static async open(path: string, log: Logger): Promise<JwksFile> {
    const file = new JwksFile(path, log)
    await file.#refresh()
    return file
  }

  get version(): number {
    return this.#version
  }

  async find(hint: KeyHint): Promise<readonly CryptoKey[]> {
    try {
      await this.#refresh()
      this.#isBroken = false
    } catch (error) {
      if (!isDomainError(error)) throw error
      if (!this.#isBroken) this.#log.error({ error }, 'the keys of the token service stay as they were')
      this.#isBroken = true
    }
    return (await this.#keys?.find(hint)) ?? []
  }

  async #refresh(): Promise<void> {
    try {
      await using file = await open(this.#path)
      await this.#take(file)
    } catch (cause) {
      if (isDomainError(cause)) throw cause
      throw this.#invalid(`it cannot be read (${errnoOf(cause) ?? 'no reason given'})`, cause)
    }
  }

  async #take(file: FileHandle): Promise<void> {
    const { mode, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true })
    const stamp = [ino, size, mtimeNs, ctimeNs].join(' ')
    if (stamp === this.#stamp) return
    if ((Number(mode) & writableByOthers) !== 0)
      throw this.#invalid('others than its owner may write it; chmod o-w closes it')
    if (size > maxJwksBytes) throw this.#invalid(`it has more than ${maxJwksBytes} bytes`)
    const text = await file.readFile('utf8')
    try {
      this.#keys = await PublicKeySet.parse(text)
    } catch (cause) {
      throw this.#invalid('it is no JWKS with a public key in it', cause)
    }
    this.#stamp = stamp
    this.#version += 1
  }

  #invalid(why: string, cause?: unknown): DomainError {
    return new DomainError(
      'invalid',
      `The keys of the token service in ${this.#path} cannot be used: ${why}.`,
      { resource: 'config', name: this.#path },
      { cause },
    )
  }
}
