import type { RepositoryName } from '../reference.ts'
import type { Challenge } from './challenge.ts'

/**
 * Where to ask for a token (distribution, "Token Authentication Specification"): the realm, with service and scope.
 * Undefined when the challenge names no address on the web.
 */
export function tokenUrlOf({ parameters }: Challenge, repository: RepositoryName): URL | undefined {
  const realm = parameters.get('realm')
  if (realm === undefined || !URL.canParse(realm)) return undefined
  const url = new URL(realm)
  if (!['http:', 'https:'].includes(url.protocol)) return undefined
  url.username = ''
  url.password = ''
  const service = parameters.get('service')
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${repository}:pull`)
  return url
}

/** What may stand in a header: no blanks, no line ends. */
const tokenPattern = /^[\x21-\x7e]+$/

/** The token in a token service's answer; undefined when there is none that could be sent. */
export function tokenIn(bytes: Uint8Array): string | undefined {
  const json = jsonObjectIn(bytes)
  for (const name of ['token', 'access_token']) {
    const value = json[name]
    if (typeof value === 'string' && tokenPattern.test(value)) return value
  }
  return undefined
}

/** The registry's own words (distribution-spec, "Error Codes"), shortened, as the end of a sentence; '' without any. */
export function explanationIn(bytes: Uint8Array): string {
  const { errors } = jsonObjectIn(bytes) as { readonly errors?: unknown }
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined
  if (typeof first !== 'object' || first === null) return ''
  const { code, message } = first as { readonly code?: unknown; readonly message?: unknown }
  const words = [code, message].filter(word => typeof word === 'string').join(': ')
  return words === '' ? '' : `; it says ${JSON.stringify(words.slice(0, 300))}`
}

function jsonObjectIn(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
