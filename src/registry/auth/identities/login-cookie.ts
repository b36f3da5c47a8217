import { EncryptJWT, jwtDecrypt } from 'jose'
import * as z from 'zod'

/** What a browser carries from the start of a login to its end. */
export interface PendingLogin {
  readonly provider: string
  readonly state: string
  readonly nonce: string
  /** RFC 7636, 4.1. */
  readonly codeVerifier: string
  /** Where the provider sends the browser back to. */
  readonly callback: string
}

const schema = z.object({
  provider: z.string(),
  state: z.string(),
  nonce: z.string(),
  codeVerifier: z.string(),
  callback: z.string(),
})

/** Seconds in which a person has to have logged in. */
const maxAgeSeconds = 600
/** Characters of all cookies together. */
const maxCookies = 8 * 1024

/**
 * Keeps logins that are under way with the browsers that began them, and nothing on our side: so any replica can end
 * what another one has begun, and nobody can fill our memory with beginnings. Encrypted and authenticated.
 */
export class LoginCookie {
  readonly #key: Uint8Array

  /** @param key 32 bytes, the same for all replicas. */
  constructor(key: Uint8Array) {
    this.#key = key
  }

  /** The value of `Set-Cookie`. */
  async seal(login: PendingLogin): Promise<string> {
    const value = await new EncryptJWT({ ...login })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(`${maxAgeSeconds} seconds`)
      .encrypt(this.#key)
    return this.#cookie(login.callback, value, maxAgeSeconds)
  }

  /** The value of `Set-Cookie` that takes it away. */
  clear(callback: string): string {
    return this.#cookie(callback, '', 0)
  }

  /** Undefined when there is none, or none of ours, or it is too old. @param header `Cookie`. */
  async open(header: string | undefined): Promise<PendingLogin | undefined> {
    if (header === undefined || header.length > maxCookies) return undefined
    for (const pair of header.split(';')) {
      const [name = '', value = ''] = pair.trim().split('=', 2)
      if (names.includes(name)) {
        const login = await this.#opened(value)
        // Without the prefix it could have been set over plain HTTP by somebody in between.
        if (login !== undefined && name === nameFor(login.callback)) return login
      }
    }
    return undefined
  }

  async #opened(value: string): Promise<PendingLogin | undefined> {
    try {
      const { payload } = await jwtDecrypt(value, this.#key, {
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        requiredClaims: ['exp'],
      })
      return schema.safeParse(payload).data
    } catch {
      return undefined
    }
  }

  #cookie(callback: string, value: string, seconds: number): string {
    const attributes = ['Path=/', `Max-Age=${seconds}`, 'HttpOnly', 'SameSite=Lax']
    if (isSecure(callback)) attributes.push('Secure')
    return [`${nameFor(callback)}=${value}`, ...attributes].join('; ')
  }
}

const [secureName, plainName] = ['__Host-varve-login', 'varve-login'] as const
const names: readonly string[] = [secureName, plainName]

/** RFC 6265bis, 4.1.3.2: no other host, and nobody without TLS, can set a cookie whose name begins like that. */
function nameFor(callback: string): string {
  return isSecure(callback) ? secureName : plainName
}

function isSecure(callback: string): boolean {
  return callback.startsWith('https:')
}
