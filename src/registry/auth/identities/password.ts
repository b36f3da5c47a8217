import { randomBytes } from 'node:crypto'
import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { AccountName } from '../../../storage/accounts/names.ts'
import { looksLikeAccountToken } from './account-token.ts'

/** CONTRACT. Work with bcrypt. Implementations: threads, for a server; in place, for a command. */
export interface PasswordHasher {
  /**
   * @param setting cost: the binary logarithm of the work; or what the hash shall begin with, {@link settingOf}.
   * @throws DomainError `throttled` when too much of this waits already.
   */
  hash(password: string, setting: number | string, options?: Abortable): Promise<string>
  /**
   * Whether the hash is that of the password. For what it is not, it takes as long as work of `cost` does, so that
   * nobody can tell an account that is not there by the time.
   * @param hash null: of no password.
   * @throws as {@link hash}.
   */
  compare(password: string, hash: string | null, cost: number, options?: Abortable): Promise<boolean>
}

/** About 0.3 seconds of one core in this implementation. */
export const defaultPasswordCost = 12

const minCharacters = 8
/** bcrypt looks at no byte after these. */
const maxPasswordBytes = 72

/** @throws DomainError `invalid` with the rule that a new password breaks. */
export function checkNewPassword(password: string, account: AccountName): void {
  const why = brokenRule(password, account)
  if (why !== undefined)
    throw new DomainError('invalid', `The new password of ${account} ${why}.`, {
      resource: 'account',
      name: account,
    })
}

function brokenRule(password: string, account: AccountName): string | undefined {
  if (Array.from(password).length < minCharacters) return `has fewer than ${minCharacters} characters`
  if (isTooLongForBcrypt(password))
    return `has more than ${maxPasswordBytes} bytes, and bcrypt would not look at those after them`
  // Some implementations of bcrypt end at a NUL, and no terminal sends the others.
  if (/\p{Cc}/u.test(password)) return 'has a control character in it'
  const [own = ''] = /[^+/]*$/.exec(account) ?? []
  if (looksLikeAccountToken(password)) return 'begins as an API token does'
  const names = [account, own].map(name => name.toLowerCase())
  if (names.includes(password.toLowerCase())) return "is the account's name"
  return undefined
}

/** Whether bcrypt would take another password for this one. */
export function isTooLongForBcrypt(password: string): boolean {
  return Buffer.byteLength(password) > maxPasswordBytes
}

/** `$2b$12$` and 53 characters; `$2a$` and `$2y$` mean the same today. 4 is the least cost that bcrypt knows. */
const hashPattern = /^\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/

/** Undefined for what is no bcrypt hash, or one whose work is more than some seconds. */
export function bcryptCostOf(hash: string): number | undefined {
  const cost = hashPattern.exec(hash)?.[1]
  return cost === undefined ? undefined : Number(cost)
}

/** Of a hash the salt, for another cost: so the same password can be hashed with more work and be known for the same. */
export function settingOf(hash: string, cost: number): string {
  return `$2b$${twoDigits(cost)}$${saltOf(hash)}`
}

/** 22 characters, which every new password gets new. */
export function saltOf(hash: string): string {
  return hash.slice(7, 29)
}

/** What looks like a hash of this cost and takes as long, but which no password has. */
export function dummyHash(cost: number): string {
  // The last character of each half has bits that bcrypt drops; dots are zeros.
  const salt = `${base64Of(16).slice(0, 21)}.`
  return `$2b$${twoDigits(cost)}$${salt}${base64Of(24).slice(0, 30)}.`
}

function twoDigits(cost: number): string {
  return String(cost).padStart(2, '0')
}

function base64Of(bytes: number): string {
  return randomBytes(bytes).toString('base64').replace(/\+/g, '.').replace(/=/g, '')
}
