import { DomainError } from '../../errors.ts'

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function isRedirect(status: number): boolean {
  return redirectStatuses.has(status)
}

/**
 * Where a redirect leads (RFC 9110, section 15.4). Only the web, and from an encrypted connection never to a plain
 * one: a tag's manifest has no digest that would tell what somebody on the way put there.
 * @throws DomainError `unsupported`.
 */
export function redirectTarget(from: URL, location: string | undefined): URL {
  if (location === undefined || !URL.canParse(location, from.href)) throw refused(from, 'to no address')
  const target = new URL(location, from)
  if (!['http:', 'https:'].includes(target.protocol)) throw refused(from, `to ${target.protocol}`)
  if (from.protocol === 'https:' && target.protocol === 'http:')
    throw refused(from, `from https to plain http (${target.host})`)
  // Another's credentials in an address are not ours to use.
  target.username = ''
  target.password = ''
  return target
}

/** Credentials belong to the origin that they were got for. */
export function headersFor(
  target: URL,
  first: URL,
  headers: Readonly<Record<string, string>>,
): Record<string, string> {
  if (target.origin === first.origin) return { ...headers }
  const { authorization: _, ...rest } = headers
  return rest
}

function refused(from: URL, where: string): DomainError {
  return new DomainError('unsupported', `${from.host} redirects ${where}, which is not followed.`, {
    resource: 'registry',
    name: from.host,
  })
}
