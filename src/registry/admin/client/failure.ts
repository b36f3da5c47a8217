import { DomainError, type ErrorCode, type Resource } from '../../../errors.ts'

/** What the codes of an answer are here; of those that are not named the status decides. */
const byCode: Readonly<Record<string, ErrorCode>> = {
  INVALID: 'invalid',
  NAME_INVALID: 'invalid',
  TAG_INVALID: 'invalid',
  DIGEST_INVALID: 'invalid',
  NOT_FOUND: 'not_found',
  NAME_UNKNOWN: 'not_found',
  MANIFEST_UNKNOWN: 'not_found',
  ALREADY_EXISTS: 'already_exists',
  CONFLICT: 'conflict',
  TOO_LARGE: 'too_large',
  UNAUTHORIZED: 'unauthorized',
  DENIED: 'denied',
  TOOMANYREQUESTS: 'throttled',
  UNAVAILABLE: 'unavailable',
}

/** Characters of what a stranger says. */
const maxMessage = 1000

/** The failure that a registry has answered; undefined when it speaks otherwise than ours does. */
export function failureIn(
  status: number,
  retryAfter: string | undefined,
  body: unknown,
  resource: Resource,
): DomainError | undefined {
  const entry = firstEntry(body)
  if (entry === undefined) return undefined
  // A path that it does not know: no such operation there, or none over HTTP.
  const code = status === 404 && entry.code === 'UNSUPPORTED' ? 'unsupported' : byCode[entry.code]
  if (code === undefined) return undefined
  return new DomainError(code, entry.message.slice(0, maxMessage), {
    resource,
    ...(retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter)
      ? { retryAfterSeconds: Number(retryAfter) }
      : {}),
  })
}

function firstEntry(body: unknown): { readonly code: string; readonly message: string } | undefined {
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors))
    return undefined
  const [first] = body.errors as unknown[]
  if (typeof first !== 'object' || first === null || !('code' in first) || !('message' in first))
    return undefined
  const { code, message } = first
  return typeof code === 'string' && typeof message === 'string' ? { code, message } : undefined
}
