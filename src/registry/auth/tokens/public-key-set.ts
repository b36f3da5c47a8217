import { type CryptoKey, createLocalJWKSet, errors, type LocalJWKSet } from 'jose'
import { parseJwks } from './jwks-document.ts'
import type { KeyHint } from './verification-keys.ts'

/** Tokens that do not name their key are tried on no more than these. */
const maxCandidates = 8

/** The keys of a JWKS as they were at one moment. */
export class PublicKeySet {
  readonly text: string
  readonly #keys: LocalJWKSet

  private constructor(text: string, keys: LocalJWKSet) {
    this.text = text
    this.#keys = keys
  }

  /** @throws whatever, when the text is no JWKS with a public key in it. */
  static async parse(text: string): Promise<PublicKeySet> {
    return new PublicKeySet(text, createLocalJWKSet(await parseJwks(text)))
  }

  /** Those that fit, by algorithm, use and name. */
  async find({ alg, kid }: KeyHint): Promise<CryptoKey[]> {
    try {
      return [await this.#keys({ alg, ...(kid === undefined ? {} : { kid }) })]
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return await firstOf(error)
      // None fits, or the one that does cannot be used.
      if (error instanceof errors.JOSEError || error instanceof TypeError) return []
      throw error
    }
  }
}

async function firstOf(candidates: AsyncIterable<CryptoKey>): Promise<CryptoKey[]> {
  const keys: CryptoKey[] = []
  for await (const key of candidates) if (keys.push(key) >= maxCandidates) break
  return keys
}
