import { type CryptoKey, decodeProtectedHeader, errors, type JWSAlgorithm, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Abortable } from '../../../storage/abortable.ts'
import { HiddenTexts } from '../identities/hidden-texts.ts'
import { clockLeewaySeconds, signingAlgorithm } from './signing-keys.ts'
import { contentOf, type TokenContent } from './token-claims.ts'
import type { KeyHint, VerificationKeys } from './verification-keys.ts'

export interface TokenVerifierSettings {
  /** Exactly what `iss` has to be. */
  readonly issuer: string
  /** What has to be in `aud`: the name of this registry. */
  readonly audience: string
  /** Whether we sign them ourselves: then only our one algorithm counts, and our own claim does. */
  readonly isOwn: boolean
}

/** Asymmetric ones only: with others, whoever can verify a token could make one. `none` has no signature at all. */
const externalAlgorithms: readonly JWSAlgorithm[] = [
  'ES256',
  'ES384',
  'EdDSA',
  'Ed25519',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]

/** For all good tokens that are remembered. Bytes, roughly. */
const cacheBytes = 16 * 1024 * 1024
/** What an entry takes beside its content. Bytes. */
const entryBytes = 512
/** For how long tokens are remembered without another look at the keys. Milliseconds. */
const lookMs = 10_000
/** More keys than these are not tried on one token. */
const maxKeys = 8

export interface VerifyOptions extends Abortable {
  /** Stands for the connection that it has come by. */
  readonly connection?: object | undefined
}

interface Verified {
  readonly content: TokenContent
  /** Milliseconds since 1970, without leeway. */
  readonly notBefore: number
  readonly expires: number
}

/**
 * Tells whether an access token is good. A signature costs more to verify than all the rest of a small request, so a
 * token that was good is remembered, by what stands for it, until it expires or the keys change.
 */
export class TokenVerifier {
  readonly #keys: VerificationKeys
  readonly #settings: TokenVerifierSettings
  readonly #algorithms: JWSAlgorithm[]
  readonly #now: () => number
  readonly #elapsed: () => number
  readonly #hidden = new HiddenTexts()
  readonly #good = new LRUCache<string, Verified>({ maxSize: cacheBytes })
  #version: number
  #lookedAt = Number.NEGATIVE_INFINITY

  /**
   * @param now milliseconds since 1970. @param elapsed those of a clock that never goes back, so that setting the other one
   * keeps no key good that was taken away; `now` where only that is given.
   */
  constructor(
    keys: VerificationKeys,
    settings: TokenVerifierSettings,
    now?: () => number,
    elapsed: () => number = now ?? (() => performance.now()),
  ) {
    this.#keys = keys
    this.#settings = settings
    this.#algorithms = settings.isOwn ? [signingAlgorithm] : [...externalAlgorithms]
    this.#now = now ?? Date.now
    this.#elapsed = elapsed
    this.#version = keys.version
  }

  /** Undefined when it is not good, whatever the reason. @throws DomainError `unavailable` when that cannot be known. */
  async verify(token: string, options: VerifyOptions = {}): Promise<TokenContent | undefined> {
    this.#forgetIfKeysChanged()
    const key = this.#hidden.of(token, options.connection)
    const known = this.#good.get(key)
    // A look at the keys now and then, or nobody would hear that they are others now.
    if (known !== undefined && this.#elapsed() - this.#lookedAt < lookMs) return this.#contentOf(known)

    const hint = hintOf(token)
    if (hint === undefined || !this.#algorithms.some(algorithm => algorithm === hint.alg)) return undefined
    const keys = await this.#keys.find(hint, options)
    this.#lookedAt = this.#elapsed()
    this.#forgetIfKeysChanged()
    const still = this.#good.get(key)
    if (still !== undefined) return this.#contentOf(still)
    const version = this.#version
    const verified = await this.#verifyByOne(keys, token)
    if (verified === undefined || !this.#isDue(verified)) return undefined
    // Its key may have been taken away meanwhile.
    if (version === this.#keys.version) this.#good.set(key, verified, { size: entryBytes + 2 * token.length })
    return verified.content
  }

  async #verifyByOne(keys: readonly CryptoKey[], token: string): Promise<Verified | undefined> {
    for (const key of keys.slice(0, maxKeys)) {
      const verified = await this.#verifyBy(key, token)
      if (verified !== undefined) return verified
    }
    return undefined
  }

  async #verifyBy(key: CryptoKey, token: string): Promise<Verified | undefined> {
    const { issuer, audience, isOwn } = this.#settings
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: this.#algorithms,
        issuer,
        audience,
        requiredClaims: ['exp', ...(isOwn ? ['nbf', 'iat', 'jti', 'access'] : [])],
        clockTolerance: clockLeewaySeconds,
        currentDate: new Date(this.#now()),
      })
      const { nbf = 0, exp = 0 } = payload
      if (!Number.isFinite(nbf) || !Number.isFinite(exp)) return undefined
      const content = contentOf(payload, isOwn)
      return content && { content, notBefore: nbf * 1000, expires: exp * 1000 }
    } catch (error) {
      // The key may be of another kind than the algorithm, which jose tells by a TypeError.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
      throw error
    }
  }

  #contentOf(verified: Verified): TokenContent | undefined {
    return this.#isDue(verified) ? verified.content : undefined
  }

  #isDue({ notBefore, expires }: Verified): boolean {
    const now = this.#now()
    const leewayMs = clockLeewaySeconds * 1000
    return notBefore <= now + leewayMs && now - leewayMs < expires
  }

  #forgetIfKeysChanged(): void {
    if (this.#version === this.#keys.version) return
    this.#version = this.#keys.version
    this.#good.clear()
  }
}

/**
 * RFC 7515, 2: base64url without padding. More than that would be read, too, and then one token would have many texts,
 * each of them to be verified and remembered.
 */
const compactForm = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Undefined for what is no signed token. Keys and addresses of keys in it are not even looked at. */
function hintOf(token: string): KeyHint | undefined {
  if (!compactForm.test(token)) return undefined
  try {
    const { alg, kid } = decodeProtectedHeader(token)
    if (typeof alg !== 'string') return undefined
    return { alg, ...(typeof kid === 'string' ? { kid } : {}) }
  } catch (error) {
    if (error instanceof TypeError || error instanceof errors.JOSEError) return undefined
    throw error
  }
}
