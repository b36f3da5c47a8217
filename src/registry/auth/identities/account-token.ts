import { randomInt, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { digestOf, hexOf } from '../../../storage/digest.ts'
import type { Credential } from '../../../storage/metadata/account-records.ts'

/** A token as its owner has it. */
export interface AccountToken {
  readonly kind: Credential['kind']
  /** 16 lower-case letters and digits; no secret. */
  readonly id: string
  /** With its check at the end. */
  readonly secret: string
}

/** One that has just been made: its text is shown once, its digest is kept. */
export interface NewAccountToken {
  readonly id: string
  /** `vrv_<id>_<secret>` or `vrr_<id>_<secret>`. */
  readonly text: string
  /** SHA-256 of the secret, in hex. */
  readonly secretDigest: string
}

const prefixes: Readonly<Record<Credential['kind'], string>> = { token: 'vrv', refresh: 'vrr' }

const lowerCase = 'abcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'
const idAlphabet = digits + lowerCase
/** No other characters, so that a double click takes the whole token. */
const secretAlphabet = digits + lowerCase.toUpperCase() + lowerCase

const idLength = 16
/** 256 bits, from 62 characters. */
const randomLength = 43
/** CRC-32, in 62 characters. */
const checkLength = 6

const pattern = new RegExp(`^(vrv|vrr)_([a-z0-9]{${idLength}})_([0-9A-Za-z]{${randomLength + checkLength}})$`)

export function makeAccountToken(kind: Credential['kind']): NewAccountToken {
  const id = randomText(idAlphabet, idLength)
  const start = `${prefixes[kind]}_${id}_`
  const random = randomText(secretAlphabet, randomLength)
  const secret = random + checkOf(start + random)
  return { id, text: start + secret, secretDigest: digestOfSecret(secret) }
}

/**
 * Undefined for what is none, be it by a typing error: the last six characters are a check of all those before them. So
 * no database is asked for it, and programs that look for leaked tokens know one when they see it.
 */
export function parseAccountToken(text: string): AccountToken | undefined {
  const [, prefix, id, secret] = pattern.exec(text) ?? []
  if (id === undefined || secret === undefined) return undefined
  if (checkOf(text.slice(0, -checkLength)) !== secret.slice(-checkLength)) return undefined
  return { kind: prefix === prefixes.token ? 'token' : 'refresh', id, secret }
}

/** Whether a text is meant to be a token of ours, be it a good one or not. */
export function looksLikeAccountToken(text: string): boolean {
  return /^vr[vr]_/.test(text)
}

/** Takes the same time for every secret of a length. @param secretDigest of the stored credential. */
export function isSecretOf({ secret }: AccountToken, secretDigest: string): boolean {
  const given = Buffer.from(digestOfSecret(secret), 'hex')
  const known = Buffer.from(secretDigest, 'hex')
  return given.length === known.length && timingSafeEqual(given, known)
}

function digestOfSecret(secret: string): string {
  return hexOf(digestOf(Buffer.from(secret)))
}

/** `randomInt` is uniform and of the CSPRNG. */
function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join('')
}

function checkOf(text: string): string {
  let rest = crc32(text)
  let check = ''
  for (let count = 0; count < checkLength; count += 1) {
    check = secretAlphabet.charAt(rest % secretAlphabet.length) + check
    rest = Math.floor(rest / secretAlphabet.length)
  }
  return check
}
