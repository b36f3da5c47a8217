import { decodeJwt, decodeProtectedHeader, generateKeyPair, SignJWT } from 'jose'
import { SigningKeys } from '../../../src/registry/auth/tokens/signing-keys.ts'
import { TokenIssuer } from '../../../src/registry/auth/tokens/token-issuer.ts'
import { parseAccountName } from '../../../src/storage/accounts/names.ts'
import type { Metadata } from '../../../src/storage/metadata/metadata.ts'
import type { Scope } from './rules.ts'

export interface WantedToken {
  readonly account: string
  readonly access: readonly Scope[]
  /** For whom: this registry unless given. */
  readonly service?: string
  /** Seconds since it was made. */
  readonly age?: number
}

const lifetimeSeconds = 3600

/** Reading keys and signing take longer than most rows. Tokens are good for longer than a test. */
interface Made {
  readonly keys: SigningKeys
  readonly tokens: Map<string, Promise<string>>
}

const made = new WeakMap<Metadata, Made>()

function madeFor(metadata: Metadata): Made {
  const known = made.get(metadata)
  if (known !== undefined) return known
  const settings = { rotateAfterMs: 1_000_000_000, tokenLifetimeMs: lifetimeSeconds * 1000 }
  const fresh: Made = { keys: new SigningKeys(metadata, settings), tokens: new Map() }
  made.set(metadata, fresh)
  return fresh
}

/** Access tokens with any content, signed with the registry's own key: as its token service makes them, or would not. */
export function accessToken(metadata: Metadata, wanted: WantedToken): Promise<string> {
  const { keys, tokens } = madeFor(metadata)
  const key = JSON.stringify(wanted)
  const token = tokens.get(key) ?? makeToken(keys, wanted)
  tokens.set(key, token)
  return token
}

async function makeToken(
  keys: SigningKeys,
  { account, access, service = 'varve', age = 0 }: WantedToken,
): Promise<string> {
  const now = () => Date.now() - age * 1000
  const { text } = await new TokenIssuer(keys, { service, lifetimeSeconds }, now).issue({
    account: parseAccountName(account),
    isAdmin: false,
    rule: 'a test made it',
    access: access.map(({ name, actions }) => ({ type: 'repository', name, actions })),
  })
  return text
}

/** With other claims, and again signed with the registry's own key. Undefined takes a claim away. */
export async function signedAgain(
  metadata: Metadata,
  token: string,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { id, key } = await madeFor(metadata).keys.signer()
  return await new SignJWT({ ...decodeJwt(token), ...claims })
    .setProtectedHeader({ typ: 'JWT', alg: 'ES256', kid: id })
    .sign(key)
}

/** The same claims with the same header, by somebody who has another key. */
export async function signedByAnother(token: string): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256')
  return await new SignJWT(decodeJwt(token))
    .setProtectedHeader({ alg: 'ES256', ...decodeProtectedHeader(token) })
    .sign(privateKey)
}

/** The same header and signature for other claims. */
export function altered(token: string, claims: object): string {
  const [header = '', , signature = ''] = token.split('.')
  return [header, encoded({ ...decodeJwt(token), ...claims }), signature].join('.')
}

/** The same claims, signed by nobody (RFC 7519, 6). */
export function unsigned(token: string): string {
  return [encoded({ alg: 'none', typ: 'JWT' }), encoded(decodeJwt(token)), ''].join('.')
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
