import { setTimeout } from 'node:timers/promises'
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import * as z from 'zod'
import { isDomainError } from '../../../errors.ts'
import { type Abortable, orAbort } from '../../../storage/abortable.ts'
import type { SigningKey, SigningKeyRecords } from '../../../storage/metadata/account-records.ts'
import type { KeyHint, VerificationKeys } from './verification-keys.ts'

export interface SigningKeySettings {
  /** Age at which a key is replaced. Milliseconds. */
  readonly rotateAfterMs: number
  /** How long a token is good that was signed by it. Milliseconds. */
  readonly tokenLifetimeMs: number
}

/** A key as others may see it (RFC 7517), with the name that tokens call it by. */
export interface PublicSigningKey {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly kid: string
  readonly alg: 'ES256'
  readonly use: 'sig'
}

export interface Signer {
  readonly id: string
  readonly key: CryptoKey
}

/** The only algorithm of our own tokens: RFC 7518, 3.4. */
export const signingAlgorithm = 'ES256'

/** How far clocks may be apart: distribution allows as much. Seconds. */
export const clockLeewaySeconds = 60

/** How old what is known of the keys may be: to sign by them, to verify by them, and when a key is not among them. */
const signerAgeMs = 5_000
const verifierAgeMs = 50_000
const unknownKeyAgeMs = 1_000
/** What is kept over the life of the last token: the clocks, and processes that have not heard of the next key yet. */
const slackMs = 2 * clockLeewaySeconds * 1000

/** A thumbprint: SHA-256 in base64url. */
const idPattern = /^[A-Za-z0-9_-]{43}$/

const jwkSchema = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string(),
})

interface LoadedKey {
  readonly id: string
  readonly createdAt: number
  readonly shown: PublicSigningKey
  readonly publicKey: CryptoKey
  readonly privateKey: CryptoKey
}

/**
 * The keys of our own tokens, shared by all processes over the database. Whoever signs first makes the first one, and
 * whoever finds the newest too old makes the next; all others hear of it within seconds. Old ones stay as long as a
 * token of theirs may be good.
 */
export class SigningKeys implements VerificationKeys {
  readonly #records: SigningKeyRecords
  readonly #settings: SigningKeySettings
  readonly #now: () => number
  readonly #elapsed: () => number
  #keys: readonly LoadedKey[] = []
  #loadedAt = Number.NEGATIVE_INFINITY
  #loading: Promise<void> | undefined
  #looking: Promise<void> | undefined
  /** How often keys were added or deleted here: a list that was asked for before is not the latest any more. */
  #changes = 0
  #version = 0

  /**
   * @param now milliseconds since 1970. @param elapsed those of a clock that never goes back, so that setting the other one
   * keeps nobody from hearing of keys that were added or forgotten; `now` where only that is given.
   */
  constructor(
    records: SigningKeyRecords,
    settings: SigningKeySettings,
    now?: () => number,
    elapsed: () => number = now ?? (() => performance.now()),
  ) {
    this.#records = records
    this.#settings = settings
    this.#now = now ?? Date.now
    this.#elapsed = elapsed
  }

  get version(): number {
    return this.#version
  }

  /** The key to sign by now. @throws DomainError `unavailable` when the database is away. */
  async signer(options: Abortable = {}): Promise<Signer> {
    await this.#load(signerAgeMs, options)
    const [newest] = this.#keys
    if (newest === undefined || newest.createdAt + this.#settings.rotateAfterMs <= this.#now())
      await this.#add(newest, options)
    await this.#forgetOld(options)
    const [signer] = this.#keys
    if (signer === undefined) throw new Error('a key that has just been added is not there')
    return { id: signer.id, key: signer.privateKey }
  }

  async find({ alg, kid }: KeyHint, options: Abortable = {}): Promise<readonly CryptoKey[]> {
    if (alg !== signingAlgorithm || kid === undefined || !idPattern.test(kid)) return []
    await this.#loadIfPossible(verifierAgeMs, options)
    const known = this.#find(kid)
    if (known.length > 0) return known
    // Another process may have made it just now.
    await this.#look(options)
    return this.#find(kid)
  }

  /** All keys, newest first, without their private parts. @throws as {@link signer}. */
  async publicKeys(options: Abortable = {}): Promise<readonly PublicSigningKey[]> {
    await this.#load(signerAgeMs, options)
    return this.#keys.map(({ shown }) => shown)
  }

  /**
   * Makes a new key now. Tokens of the old ones stay good until they expire, unless they are to be forgotten: then they
   * are good for nothing after a minute at most, in every process.
   * @returns id of the key that signs from now on.
   */
  async rotate({ forgetOld = false, ...options }: Abortable & { forgetOld?: boolean } = {}): Promise<string> {
    await this.#load(0, options)
    await this.#add(this.#keys[0], options)
    const [newest, ...old] = this.#keys
    if (newest === undefined) throw new Error('a key that has just been added is not there')
    if (forgetOld) await this.#forget(old, options)
    return newest.id
  }

  /**
   * A token can come here sooner than we may ask again: then it waits, or it would be refused though it is good.
   * Strangers can name unknown keys as often as they like, so all who wait are one question.
   */
  async #look(options: Abortable): Promise<void> {
    const waitMs = this.#loadedAt + unknownKeyAgeMs - this.#elapsed()
    if (waitMs <= 0) return await this.#load(0, options)
    this.#looking ??= setTimeout(Math.min(waitMs, unknownKeyAgeMs))
      .then(() => this.#load(0, {}))
      .finally(() => {
        this.#looking = undefined
      })
    await orAbort(this.#looking, options.signal)
  }

  #find(id: string): readonly CryptoKey[] {
    return this.#keys.filter(key => key.id === id).map(({ publicKey }) => publicKey)
  }

  /** While the database is away, what was known of the keys goes on to count. */
  async #loadIfPossible(maxAgeMs: number, options: Abortable): Promise<void> {
    try {
      await this.#load(maxAgeMs, options)
    } catch (error) {
      if (!isDomainError(error, 'unavailable') || this.#keys.length === 0) throw error
    }
  }

  async #load(maxAgeMs: number, { signal }: Abortable): Promise<void> {
    if (this.#elapsed() - this.#loadedAt < maxAgeMs) return
    // One question for all who wait, which therefore goes on when one of them leaves.
    this.#loading ??= this.#reload().finally(() => {
      this.#loading = undefined
    })
    await orAbort(this.#loading, signal)
  }

  async #reload(): Promise<void> {
    const changes = this.#changes
    const keys = await loadAll(await this.#records.listSigningKeys(), this.#keys)
    if (changes === this.#changes) this.#replace(keys)
  }

  async #add(newest: LoadedKey | undefined, options: Abortable): Promise<void> {
    // After the newest in any case: the clock of whoever made that one may be ahead of ours.
    const createdAt = new Date(Math.max(this.#now(), (newest?.createdAt ?? 0) + 1))
    const newerThan = newest === undefined ? null : new Date(newest.createdAt)
    const stored = await this.#records.addSigningKey(await makeKey(createdAt), newerThan, options)
    const keys = await loadAll(stored, this.#keys)
    this.#changes += 1
    this.#replace(keys)
  }

  /** A key signs until its successor is made. */
  async #forgetOld(options: Abortable): Promise<void> {
    const keepMs = this.#settings.tokenLifetimeMs + slackMs
    const old = this.#keys.filter((_, index) => {
      const successor = this.#keys[index - 1]
      return successor !== undefined && successor.createdAt + keepMs <= this.#now()
    })
    if (old.length > 0) await this.#forget(old, options)
  }

  async #forget(keys: readonly LoadedKey[], options: Abortable): Promise<void> {
    await this.#records.deleteSigningKeys(
      keys.map(({ id }) => id),
      options,
    )
    this.#changes += 1
    this.#replace(this.#keys.filter(key => !keys.includes(key)))
  }

  #replace(keys: readonly LoadedKey[]): void {
    const ids = (list: readonly LoadedKey[]) => list.map(({ id }) => id).join()
    if (ids(keys) !== ids(this.#keys)) this.#version += 1
    this.#keys = keys
    this.#loadedAt = this.#elapsed()
  }
}

/** Newest first; those that are known already are not read again. */
async function loadAll(stored: readonly SigningKey[], known: readonly LoadedKey[]): Promise<LoadedKey[]> {
  const byId = new Map(known.map(key => [key.id, key]))
  return await Promise.all(stored.map(async key => byId.get(key.id) ?? (await loadKey(key))))
}

async function makeKey(createdAt: Date): Promise<SigningKey> {
  const { privateKey } = await generateKeyPair(signingAlgorithm, { extractable: true })
  const jwk = await exportJWK(privateKey)
  return { id: await calculateJwkThumbprint(jwk), jwk: JSON.stringify(jwk), createdAt }
}

async function loadKey({ id, jwk, createdAt }: SigningKey): Promise<LoadedKey> {
  const { d, ...publicPart } = jwkSchema.parse(JSON.parse(jwk))
  return {
    id,
    createdAt: createdAt.getTime(),
    shown: { ...publicPart, kid: id, alg: signingAlgorithm, use: 'sig' },
    publicKey: await importJWK(publicPart, signingAlgorithm),
    privateKey: await importJWK({ ...publicPart, d }, signingAlgorithm),
  }
}
