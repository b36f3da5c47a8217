import type { CryptoKey } from 'jose'
import { type DomainError, isDomainError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import { ProviderTransport } from '../identities/provider-transport.ts'
import { PublicKeySet } from './public-key-set.ts'
import type { KeyHint, VerificationKeys } from './verification-keys.ts'

export interface JwksUrlOptions {
  readonly url: URL
  readonly log: Logger
  /** Milliseconds of a clock that never goes back. */
  readonly now?: (() => number) | undefined
}

/** How long keys count without being asked for again. */
const freshMs = 10 * 60_000
/** How often they are asked for at most, whatever strangers' tokens name. */
const cooldownMs = 30_000
/** The same while there are none at all. */
const firstCooldownMs = 5_000

/**
 * The public keys of another token service, where it publishes them. Keys that were good stay in use while it is away,
 * which is logged once.
 */
export class JwksUrl implements VerificationKeys, AsyncDisposable {
  readonly #url: URL
  readonly #log: Logger
  readonly #now: () => number
  readonly #transport: ProviderTransport
  #keys: PublicKeySet | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined
  #failure: DomainError | undefined
  #version = 0

  constructor({ url, log, now = () => performance.now() }: JwksUrlOptions) {
    this.#url = url
    this.#transport = new ProviderTransport({ name: url.origin, kind: 'token service' })
    this.#log = log
    this.#now = now
  }

  get version(): number {
    return this.#version
  }

  async find(hint: KeyHint, options: Abortable = {}): Promise<readonly CryptoKey[]> {
    if (this.#now() - this.#fetchedAt >= freshMs) await this.#refresh(options)
    const found = await this.#find(hint)
    if (found.length > 0) return found
    await this.#refresh(options)
    return await this.#find(hint)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }

  async #find(hint: KeyHint): Promise<readonly CryptoKey[]> {
    if (this.#keys !== undefined) return await this.#keys.find(hint)
    throw this.#failure ?? new Error('keys that were asked for neither came nor failed')
  }

  /** One request for all who wait, which therefore goes on when one of them leaves. */
  async #refresh({ signal }: Abortable): Promise<void> {
    if (this.#fetching === undefined) {
      const cooldown = this.#keys === undefined ? firstCooldownMs : cooldownMs
      if (this.#now() - this.#triedAt < cooldown) return
      this.#triedAt = this.#now()
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = undefined
      })
    }
    await orAbort(this.#fetching, signal)
  }

  async #fetch(): Promise<void> {
    try {
      const text = await this.#read()
      if (text !== this.#keys?.text) {
        this.#keys = await PublicKeySet.parse(text)
        this.#version += 1
      }
      this.#fetchedAt = this.#now()
      this.#failure = undefined
    } catch (cause) {
      const failure = isDomainError(cause)
        ? cause
        : this.#transport.unavailable('its keys are no JWKS with a public key in it', cause)
      if (this.#failure === undefined)
        this.#log.error({ error: failure }, 'the keys of the token service stay as they were')
      this.#failure = failure
    }
  }

  async #read(): Promise<string> {
    const { status, bytes } = await this.#transport.send(this.#url, {
      method: 'GET',
      headers: { accept: 'application/jwk-set+json, application/json' },
    })
    if (status !== 200) throw this.#transport.unavailable(`its keys were answered with ${status}`)
    return bytes.toString('utf8')
  }
}
