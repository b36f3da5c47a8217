import { isUtf8 } from 'node:buffer'

/** What the header `Authorization` of a request shows. */
export type Authorization =
  | { readonly kind: 'none' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  /** It is there, and proves nothing: `why` is half a sentence that holds nothing of it. */
  | { readonly kind: 'malformed'; readonly why: string }

/** Characters. What is longer is not read: no password is, and no token is made that is. */
export const maxAuthorization = 32 * 1024

const none: Authorization = Object.freeze({ kind: 'none' })

/** RFC 4648, 4, with or without its padding, which some clients leave out. */
const base64 = /^[A-Za-z0-9+/]+={0,2}$/
/** RFC 9110, 11.2: token68. */
const token68 = /^[A-Za-z0-9._~+/-]+=*$/

/**
 * RFC 9110, 11.6.2; RFC 7617 and RFC 6750 for the two schemes. An empty user name is nobody: that is how containers/image
 * writes that it has no credentials (`Basic Og==`).
 */
export function parseAuthorization(header: string | undefined): Authorization {
  if (header === undefined || header === '') return none
  if (header.length > maxAuthorization) return malformed('is too long')
  const [, scheme = '', rest = ''] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+) +([^ ]+) *$/.exec(header) ?? []
  switch (scheme.toLowerCase()) {
    case 'basic':
      return parseBasic(rest)
    case 'bearer':
      return token68.test(rest) ? { kind: 'bearer', token: rest } : malformed('holds no token')
    default:
      return malformed('is neither Basic nor Bearer')
  }
}

function parseBasic(text: string): Authorization {
  if (!base64.test(text)) return malformed('is not in base64')
  const decoded = Buffer.from(text, 'base64')
  // Buffer leaves out what is too much for whole bytes: others, who may not, would read somebody else.
  if (unpadded(decoded.toString('base64')) !== unpadded(text)) return malformed('is not in base64')
  // Bytes that are no UTF-8 would become the same character, whatever they are.
  if (!isUtf8(decoded)) return malformed('is not in UTF-8')
  const pair = decoded.toString('utf8')
  // RFC 7617, 2: no control characters.
  if (/\p{Cc}/u.test(pair)) return malformed('has control characters in it')
  const colon = pair.indexOf(':')
  if (colon < 0) return malformed('has no colon between user name and password')
  if (colon === 0) return none
  return { kind: 'basic', username: pair.slice(0, colon), password: pair.slice(colon + 1) }
}

function unpadded(text: string): string {
  return text.replace(/=+$/, '')
}

function malformed(why: string): Authorization {
  return { kind: 'malformed', why }
}
